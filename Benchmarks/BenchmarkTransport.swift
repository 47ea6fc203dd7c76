// BenchmarkTransport.swift
//
// Direct calls with what a benchmark adds: time on the way, nodes that are gone or lie, and a count
// of what answers carry.

import Cluster
import Drivers
import RedStuff
import Synchronization
import World

/// What answers to reads carried, and what came around it.
package struct AnswerBytes: Sendable {
  package var answerCount = 0
  package var payload = 0
  package var paths = 0
  /// Heads, lengths, counts.
  package var framing = 0

  package init() {}

  static func - (left: AnswerBytes, right: AnswerBytes) -> AnswerBytes {
    var rest = left
    rest.answerCount -= right.answerCount
    rest.payload -= right.payload
    rest.paths -= right.paths
    rest.framing -= right.framing
    return rest
  }
}

final class BenchmarkTransport: Transport {
  /// How long a message is on its way there and back.
  typealias Delay = @Sendable (NodeID) -> Duration
  /// May change what a node answers.
  typealias Lie = @Sendable (NodeID, NodeRequest, inout NodeResponse) -> Void

  private struct State {
    var delay: Delay?
    var lie: Lie?
    var counted = AnswerBytes()
  }

  private let direct: InProcessTransport
  private let codec: NodeMessageCodec
  private let clock: any Clock
  private let state = Mutex(State())

  init(parameters: EncodingParameters, clock: any Clock) {
    codec = NodeMessageCodec(parameters: parameters)
    direct = InProcessTransport(clock: clock)
    self.clock = clock
  }

  var readAnswers: AnswerBytes { state.withLock { $0.counted } }

  func connect(_ node: NodeID, to service: any NodeService) { direct.connect(node, to: service) }
  func disconnect(_ node: NodeID) { direct.disconnect(node) }
  func setDelay(_ delay: Delay?) { state.withLock { $0.delay = delay } }
  func setLie(_ lie: Lie?) { state.withLock { $0.lie = lie } }

  func send(_ request: NodeRequest, to node: NodeID, deadline: Instant)
    async throws(TransportError) -> NodeResponse
  {
    let (delay, lie) = state.withLock { ($0.delay, $0.lie) }
    if let delay {
      do { try await clock.sleep(for: delay(node)) } catch { throw .cancelled }
    }
    var answer = try await direct.send(request, to: node, deadline: deadline)
    lie?(node, request, &answer)
    if case .readBatch(let outcomes, _) = answer {
      var bytes = AnswerBytes()
      bytes.answerCount = 1
      for outcome in outcomes {
        bytes.payload += outcome.symbolByteCount
        bytes.paths += outcome.pathByteCount
      }
      bytes.framing =
        codec.wireByteCount(of: answer, to: request) - bytes.payload - bytes.paths
      let counted = bytes
      state.withLock {
        $0.counted.answerCount += counted.answerCount
        $0.counted.payload += counted.payload
        $0.counted.paths += counted.paths
        $0.counted.framing += counted.framing
      }
    }
    return answer
  }
}
