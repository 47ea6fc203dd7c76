// InProcessTransportTests.swift
//
// Direct calls keep the promises that messages over a network keep.

import Cluster
import RedStuff
import Simulator
import Testing
import World

@testable import Drivers

/// Answers when it is let, deaf to cancellation, as a call into a hanging drive is.
private final class HangingNode: NodeService {
  let gate = AsyncStream<Void>.makeStream()

  func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse {
    await Task { for await _ in gate.stream { return } }.value
    return .stored(isNew: true)
  }
}

@Suite(.timeLimit(.minutes(1))) struct InProcessTransportTests {
  private let node = NodeID(3)
  private let clock = VirtualClock()

  /// How a question that no node answers in time ends.
  private func failure(of transport: InProcessTransport) async -> TransportError? {
    do throws(TransportError) {
      _ = try await transport.send(
        .health(detailed: false), to: node, deadline: clock.now + .seconds(5))
      return nil
    } catch {
      return error
    }
  }

  @Test func `nobody waits longer than the deadline for a node that hangs`() async throws {
    let transport = InProcessTransport(clock: clock)
    let hanging = HangingNode()
    transport.connect(node, to: hanging)
    let answer = Task { await failure(of: transport) }
    while clock.sleeperCount == 0 { await Task.yield() }
    clock.advance(by: .seconds(5))
    #expect(await answer.value == .deadlineExceeded(node))
    hanging.gate.continuation.yield()
  }

  @Test func `who is cancelled does not wait for a node that hangs`() async throws {
    let transport = InProcessTransport(clock: clock)
    let hanging = HangingNode()
    transport.connect(node, to: hanging)
    let answer = Task { await failure(of: transport) }
    while clock.sleeperCount == 0 { await Task.yield() }
    answer.cancel()
    #expect(await answer.value == .cancelled)
    hanging.gate.continuation.yield()
  }

  @Test func `each waits until its own deadline, whatever the order of the questions`() async throws
  {
    let transport = InProcessTransport(clock: clock)
    let hanging = HangingNode()
    transport.connect(node, to: hanging)
    let ends = AsyncStream<Int>.makeStream()
    let start = clock.now
    for seconds in [5, 3, 9, 3] {
      let earlier = transport.waitingCount
      Task { [self] in
        do throws(TransportError) {
          _ = try await transport.send(
            .health(detailed: false), to: node, deadline: start + .seconds(seconds))
        } catch {
          ends.continuation.yield(error == .deadlineExceeded(node) ? seconds : -1)
        }
      }
      while transport.waitingCount == earlier { await Task.yield() }
    }
    var iterator = ends.stream.makeAsyncIterator()
    for (deadline, count) in [(3, 2), (5, 1), (9, 1)] {
      clock.advance(to: start + .seconds(deadline - 1))
      #expect(transport.waitingCount >= count)
      clock.advance(to: start + .seconds(deadline))
      for _ in 0..<count { #expect(await iterator.next() == deadline) }
    }
    #expect(transport.waitingCount == 0)
    hanging.gate.continuation.finish()
  }

  @Test func `a node that was taken away is out of reach`() async throws {
    let transport = InProcessTransport(clock: clock)
    transport.connect(node, to: HangingNode())
    transport.disconnect(node)
    #expect(await failure(of: transport) == .unreachable(node, "it does not run"))
  }
}
