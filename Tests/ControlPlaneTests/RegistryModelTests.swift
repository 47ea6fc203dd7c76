// RegistryModelTests.swift
//
// Random sequences of everything that can be asked of the registry, with restarts in between, against
// a model that a reader can hold in mind: a dictionary of registrations, an epoch and a time.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import ControlPlane

/// What the registry should say, without keys, transactions or versions.
private struct Model {
  var epoch: Epoch = 1
  var epochEnd: UInt64
  var registrations: [ObjectID: Registration] = [:]
  var endedAt: [ObjectID: UInt64] = [:]

  func living(_ blob: BlobID) -> [Registration] {
    registrations.values.filter { $0.blob == blob && !$0.hasEnded }
  }

  mutating func end(_ object: ObjectID, _ end: RegistrationEnd, at now: UInt64) {
    registrations[object]?.state = .ended(end)
    endedAt[object] = now
  }

  mutating func maintain(at now: UInt64, epochMilliseconds: UInt64) {
    if now >= epochEnd {
      epoch += 1
      epochEnd = (now < epochEnd + epochMilliseconds ? epochEnd : now) + epochMilliseconds
    }
    for registration in registrations.values where !registration.hasEnded {
      if registration.state == .registered, now >= registration.certifyByMilliseconds {
        end(registration.object, .abandoned, at: now)
      } else if epoch >= registration.endEpoch {
        end(registration.object, .expired, at: now)
      }
    }
    for (object, time) in endedAt where now >= time + 24 * 3_600_000 {
      registrations[object] = nil
      endedAt[object] = nil
    }
  }
}

@Suite(.timeLimit(.minutes(1))) struct RegistryModelTests {
  @Test(arguments: UInt64(1)...20)
  func `any sequence of calls leaves what the model says`(seed: UInt64) async throws {
    let bench = try await RegistryBench(seed: seed)
    let dice = SeededRandomness(seed: seed &+ 1000)
    let epochMilliseconds = UInt64(RegistryBench.epochDuration.wholeNanoseconds / 1_000_000)
    var registry = bench.registry
    var model = Model(epochEnd: bench.clock.wallTime.milliseconds + epochMilliseconds)

    for step in 0..<120 {
      let blob = bench.blob(UInt8(dice.number(below: 4)))
      let candidates = model.registrations.values.filter { $0.blob == blob }
        .sorted { $0.object < $1.object }
      let target =
        candidates.isEmpty ? nil : candidates[dice.number(below: candidates.count)]
      let now = bench.clock.wallTime.milliseconds
      let comment = Comment(rawValue: "seed \(seed), step \(step)")

      switch dice.number(below: 8) {
      case 0, 1:
        let epochs = dice.number(below: 3) == 0 ? nil : UInt32(dice.number(below: 4) + 1)
        let persistence: Persistence =
          epochs != nil && dice.number(below: 2) == 0 ? .permanent : .deletable
        let (made, _) = try await registry.register(
          blob: blob, byteCount: 9, persistence: persistence, epochs: epochs)
        #expect(made.endEpoch == epochs.map { model.epoch + $0 } ?? epochWithoutEnd, comment)
        model.registrations[made.object] = made
      case 2, 3:
        guard let target else { continue }
        let certificate = try bench.certificate(for: target)
        let result = await outcome {
          try await registry.certify(target.object, of: blob, certificate: certificate)
        }
        if case .ended(let end) = target.state {
          let expected: RegistryError =
            end == .abandoned ? .abandoned(blob, target.object) : .ended(end, blob, target.object)
          #expect(result == .failure(expected), comment)
        } else if target.state == .registered {
          model.registrations[target.object]?.state = .certified(
            epoch: model.epoch, certificate: certificate.encoded())
        }
      case 4:
        guard let target else { continue }
        let result = await outcome { try await registry.delete(blob: blob, object: target.object) }
        if target.hasEnded {
          #expect(result == .success(0), comment)
        } else if target.persistence == .permanent {
          #expect(
            result == .failure(.permanentUntil(target.endEpoch, blob, target.object)), comment)
        } else {
          #expect(result == .success(1), comment)
          model.end(target.object, .deleted, at: now)
        }
      case 5:
        let deletable = model.living(blob).filter { $0.persistence == .deletable }
        #expect(try await registry.delete(blob: blob, object: nil) == deletable.count, comment)
        for registration in deletable { model.end(registration.object, .deleted, at: now) }
      case 6:
        guard let target else { continue }
        let result = await outcome {
          try await registry.extend(blob: blob, object: target.object, byEpochs: 2)
        }
        if target.isCertified, target.endEpoch != epochWithoutEnd {
          model.registrations[target.object]?.endEpoch += 2
        } else {
          #expect((try? result.get()) == nil, comment)
        }
      default:
        bench.clock.advance(by: .seconds([600, 3600, 40_000, 100_000][dice.number(below: 4)]))
        _ = try await registry.maintain()
        model.maintain(
          at: bench.clock.wallTime.milliseconds, epochMilliseconds: epochMilliseconds)
        #expect(try await registry.currentEpoch() == model.epoch, comment)
      }

      let found = try await registry.registrations(of: blob).map(\.0)
      let expected = model.registrations.values.filter { $0.blob == blob }
        .sorted { $0.object < $1.object }
      #expect(found == expected, comment)
      #expect(try await registry.status(of: blob) == BlobRegistryStatus(expected), comment)
      if dice.number(below: 15) == 0 { registry = bench.anotherRegistry() }
    }
    #expect(try await bench.strayKeys() == [], "seed \(seed)")
  }

  private func outcome<Value>(_ body: () async throws -> Value) async -> Result<
    Value, RegistryError
  > {
    do {
      return .success(try await body())
    } catch let error as RegistryError {
      return .failure(error)
    } catch {
      Issue.record("an untyped error: \(error)")
      return .failure(.unavailable("\(error)"))
    }
  }
}
