// Workload+Read.swift
//
// Reads, and what they may answer: exactly the bytes, or a reason that holds.

import BlobClient
import ControlPlane
import RedStuff
import Simulator
import Synchronization
import World

/// Takes what a read gives, and compares it on the way.
final class Receiver: Sendable {
  private let expected: [UInt8]
  private let state = Mutex((count: 0, wrongAt: Int?.none))

  init(expecting expected: [UInt8]) { self.expected = expected }

  var sink: BlobSink {
    { piece in
      self.state.withLock { state in
        let rest = self.expected.dropFirst(state.count)
        if state.wrongAt == nil, !rest.starts(with: piece) {
          let agreeing = zip(rest, piece).prefix { $0 == $1 }.count
          state.wrongAt = state.count + agreeing
        }
        state.count += piece.count
      }
    }
  }

  var count: Int { state.withLock { $0.count } }
  /// The position of the first byte that should not have come.
  var wrongAt: Int? { state.withLock { $0.wrongAt } }
}

extension Workload {
  func read(_ blob: BlobID, _ process: ClientMachine.Process, _ dice: SeededRandomness) async {
    guard let content = model.blob(blob)?.content else { return }
    let size = UInt64(content.byteCount)
    var range: Range<UInt64>?
    if dice.chance(0.6) {
      let ends = [dice.number(in: 0...content.byteCount), dice.number(in: 0...content.byteCount)]
      // Now and then one byte past the end.
      let past: UInt64 = dice.chance(0.05) ? 1 : 0
      range = UInt64(ends.min() ?? 0)..<UInt64(ends.max() ?? 0) + past
    }
    let check: ConsistencyCheck = dice.pick([.default, .default, .skip, .strict]) ?? .default
    await read(blob, range, check, of: content.bytes, size, process)
  }

  private func read(
    _ blob: BlobID, _ range: Range<UInt64>?, _ check: ConsistencyCheck, of bytes: [UInt8],
    _ size: UInt64, _ process: ClientMachine.Process
  ) async {
    let wanted = range ?? 0..<size
    let isInside = wanted.upperBound <= size
    let expected = isInside ? Array(bytes[Int(wanted.lowerBound)..<Int(wanted.upperBound)]) : []
    let receiver = Receiver(expecting: expected)
    let before = model.view(of: blob, epoch: await epoch())
    let start = world.clock.now
    let error: BlobClientError?
    do throws(BlobClientError) {
      try await process.client.read(blob, range: range, check: check, into: receiver.sink)
      error = nil
    } catch let failure {
      error = failure
    }
    let after = model.view(of: blob, epoch: await epoch())
    let what = "read of \(blob) \(range.map { "\($0)" } ?? "whole"), \(check),"
    note(8, "\(what) \(error.map { "failed: \($0)" } ?? "gave \(receiver.count) bytes")")
    counts.withLock { counts in
      counts.readCount += 1
      counts.readByteCount += receiver.count
      if error != nil { counts.failedReadCount += 1 }
    }
    if let position = receiver.wrongAt {
      world.findings.add(.noWrongByte, "\(what) gave a wrong byte at \(position)")
      return
    }
    switch error {
    case nil:
      if receiver.count != expected.count || !isInside {
        world.findings.add(
          .noWrongByte, "\(what) gave \(receiver.count) of \(expected.count) bytes")
      }
      if before.isGone, after.isGone {
        world.findings.add(.registryTruthful, "\(what) succeeded, and it was deleted before")
      }
    case .notFound:
      if before.lives(until: after) {
        world.findings.add(.registryTruthful, "\(what) says not found, and it is certified")
      }
    case .rangeOutsideBlob:
      if isInside { world.findings.add(.noWrongByte, "\(what) says that the range is outside") }
    case .inconsistent, .malformedQuilt, .patchNotFound, .quiltRefused, .sinkFailed:
      if let error { world.findings.add(.readersAgree, "\(what) of an honest blob: \(error)") }
    default:
      if let error, before.lives(until: after), Self.isLetDown(error),
        mustWork(process, since: start)
      {
        world.findings.add(.readable, "\(what) within the promise: \(error)")
      }
    }
  }

  /// As the control store has it, whatever clients think.
  func epoch() async -> UInt32 {
    do {
      return try await world.truth.currentEpoch()
    } catch {
      world.findings.add(.registryTruthful, "the registry cannot be read: \(error)")
      return 0
    }
  }
}
