// CrashPoints.swift
//
// Every operation that a scripted store asks of its drive or index goes wrong once in every way: the
// power goes, there is no space, there is an error. Whatever unsynced sectors survive and however
// much the index loses, afterwards the store opens, what was acknowledged is intact, what was
// deleted stays away, no byte is wrong, two openings agree, and everything can be stored again.

internal import RedStuff
package import Simulator
internal import SliverStore

package struct CrashPointProgress: Sendable {
  package var doneCount: Int
  package var totalCount: Int
  package var failureCount: Int
}

package struct CrashPointFailure: Sendable, CustomStringConvertible {
  package var point: CrashPoints.Point
  package var operationName: String
  package var problem: String

  package init(point: CrashPoints.Point, operationName: String, problem: String) {
    self.point = point
    self.operationName = operationName
    self.problem = problem
  }

  package var description: String { "\(point) (\(operationName)): \(problem)" }
}

package struct CrashPointReport: Sendable {
  /// Operations of the script without any fault.
  package var operationCount = 0
  package var pointCount = 0
  package var failures: [CrashPointFailure] = []

  package init() {}
}

package struct CrashPoints: Sendable {
  /// More failures than this say nothing new.
  package static let failureCountMax = 20

  private let subsetCount: Int
  private let stride: Int
  private let seed: UInt64

  /// `subsetCount` subsets of surviving sectors at every `stride`-th operation.
  package init(subsetCount: Int, stride: Int = 1, seed: UInt64) {
    self.subsetCount = max(subsetCount, 1)
    self.stride = max(stride, 1)
    self.seed = seed
  }

  /// Runs all points, or as many as it takes to find `failureCountMax` failures.
  @concurrent package func run(
    report: @Sendable (CrashPointProgress) -> Void = { _ in }
  ) async -> CrashPointReport {
    var result = CrashPointReport()
    let names: [String]
    switch await operationNames() {
    case .success(let found): names = found
    case .failure(let violation):
      let point = Point(Strike(.failure, at: 0), subset: 0, indexLoss: .nothing, seed: seed)
      result.failures = [
        CrashPointFailure(point: point, operationName: "no fault", problem: violation.text)
      ]
      return result
    }
    result.operationCount = names.count
    let points = points(names)
    for point in points {
      result.pointCount += 1
      if let problem = await Self.run(point) {
        result.failures.append(
          CrashPointFailure(
            point: point, operationName: names[point.strike.operation], problem: problem))
        if result.failures.count >= Self.failureCountMax { break }
      }
      report(
        CrashPointProgress(
          doneCount: result.pointCount, totalCount: points.count,
          failureCount: result.failures.count))
    }
    return result
  }

  /// Runs one point, on a drive that is otherwise well or has this trouble.
  ///
  /// - Returns: what was wrong; nil if nothing was.
  @concurrent package static func run(
    _ point: Point, trouble: DiskTrouble = DiskTrouble()
  ) async -> String? {
    await OneLane.run {
      do {
        try await check(point, trouble)
        return nil
      } catch let violation as CrashViolation {
        return violation.text
      } catch {
        return "without any fault left: \(error)"
      }
    }
  }

  /// What the operations of the script are.
  private func operationNames() async -> Result<[String], CrashViolation> {
    let seed = seed
    return await OneLane.run {
      do {
        let machine = try await CrashMachine(seed: seed)
        var script = CrashScript(machine, nil)
        machine.disk.keepOperationNames()
        try await script.run()
        return .success(machine.disk.operationNames)
      } catch let violation as CrashViolation {
        return .failure(violation)
      } catch {
        return .failure(CrashViolation("\(error)"))
      }
    }
  }

  private func points(_ names: [String]) -> [Point] {
    var points: [Point] = []
    for number in Swift.stride(from: Int(seed % UInt64(stride)), to: names.count, by: stride) {
      for subset in 0..<subsetCount {
        for loss in IndexLoss.allCases {
          var point = Point(Strike(.crash, at: number), subset: subset, indexLoss: loss, seed: seed)
          point.again = again(point, loss)
          points.append(point)
        }
        let loss = IndexLoss.allCases[(number + subset) % IndexLoss.allCases.count]
        let faults: [DiskFault] = Self.needsSpace(names[number]) ? [.failure, .full] : [.failure]
        for fault in faults {
          points.append(
            Point(Strike(fault, at: number), subset: subset, indexLoss: loss, seed: seed))
        }
      }
    }
    return points
  }

  /// Half of the crashes are followed by something else while the store opens again.
  private func again(_ point: Point, _ loss: IndexLoss) -> Strike? {
    let word = SeededRandomness(seed: point.dice(9) &+ UInt64(loss.rawValue.utf8.count)).next()
    guard word & 1 == 0 else { return nil }
    let fault = [DiskFault.crash, .full, .failure, .crash][Int(word >> 1 & 3)]
    // As many operations as opening the script's store takes, with its index and without.
    return Strike(fault, at: Int(word >> 3) % (loss == .everything ? 96 : 32))
  }

  private static func needsSpace(_ operation: String) -> Bool {
    ["write", "create", "index apply"].contains { operation.hasPrefix($0) }
  }
}
