// TransportTests.swift
//
// The simulated network: every kind of message passes through real bytes, and faults do what they
// are named after.

import Cluster
import RedStuff
import Simulator
import StorageNode
import Testing
import World

@Suite struct TransportTests {
  private func network(
    _ bench: NodeBench, _ running: RunningNode
  ) -> SimulatedTransport {
    let transport = SimulatedTransport(
      parameters: bench.parameters, clock: bench.clock, randomness: bench.randomness)
    transport.connect(NodeBench.node, to: running.node)
    return transport
  }

  @Test func `every message means the same on both sides of the wire`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let transport = network(bench, running)
    let blob = try bench.encode()
    let registration = try await bench.register(blob)
    let pair = bench.pairs(of: blob.blobID)[0]
    let id = blob.blobID
    let items = [
      ReadItem(blob: id, pair: pair, axis: .primary, symbols: 0..<7, wantsPaths: true),
      ReadItem(blob: id, pair: pair, axis: .secondary, symbols: 1..<2, wantsPaths: false),
      ReadItem(
        blob: try bench.encode().blobID, pair: pair, axis: .primary, symbols: 0..<1,
        wantsPaths: false),
    ]
    let requests: [NodeRequest] = [
      .metadata(id), .storeMetadata(id, blob.metadata.metadata),
      .storeSliver(id, pair, blob.pair(pair).primary), .metadataStatus(id),
      .sliverStatus(id, pair, .primary), .sliverStatus(id, pair, .secondary),
      .confirmation(id, .deletable(registration.object), waitMilliseconds: 0),
      .storeBatch([bench.entry(blob, for: registration)]), .metadata(id),
      .sliver(id, pair, .secondary),
      .confirmation(id, .deletable(registration.object), waitMilliseconds: 0),
      .recoverySymbols(id, .target(SliverIndex(6), .primary), proofAxis: nil),
      .decodingSymbols(id, targets: [SliverIndex(0), SliverIndex(6)], targetAxis: .secondary),
      .blobStatus(id), .health(detailed: true), .readBatch(items),
    ]
    for request in requests {
      let answer = try await transport.send(
        request, to: NodeBench.node, deadline: bench.clock.now + .seconds(30))
      // What is stored now was new once; everything else is asked again and must be the same.
      switch answer {
      case .stored(let isNew): #expect(isNew)
      default: #expect(await bench.ask(running.node, request) == answer, "\(request)")
      }
    }
    #expect(transport.traffic(of: NodeBench.node).requestCount == requests.count)
    try await running.stop()
  }

  @Test func `faults do what they say`() async throws {
    let bench = try await NodeBench()
    let blob = try bench.encode()
    let node = NodeBench.node
    let request = NodeRequest.metadata(blob.blobID)
    let expected = NodeResponse.metadata(blob.blobID, blob.metadata.metadata)
    let transport = SimulatedTransport(
      parameters: bench.parameters, clock: bench.clock, randomness: bench.randomness)
    transport.connect(node, to: OneAnswer(answer: expected))
    let clock = bench.clock
    @Sendable func send() async -> Result<NodeResponse, TransportError> {
      do throws(TransportError) {
        return .success(
          try await transport.send(request, to: node, deadline: clock.now + .seconds(10)))
      } catch {
        return .failure(error)
      }
    }
    func slowly(_ fault: SimulatedTransport.Fault, _ time: Duration) async
      -> Result<NodeResponse, TransportError>
    {
      transport.setFault(fault, of: node)
      let sending = Task { await send() }
      #expect(await eventually { clock.sleeperCount == 2 })
      clock.advance(by: time)
      return await sending.value
    }
    #expect(await send() == .success(expected))
    transport.setFault(.down, of: node)
    #expect(await send() == .failure(.unreachable(node, "the simulated node is down")))
    #expect(await slowly(.hanging, .seconds(10)) == .failure(.deadlineExceeded(node)))
    #expect(await slowly(.delayed(.seconds(3)), .seconds(3)) == .success(expected))
    #expect(await slowly(.delayed(.seconds(30)), .seconds(10)) == .failure(.deadlineExceeded(node)))
    let before = transport.traffic(of: node).requestCount
    #expect(await slowly(.answerLost, .seconds(10)) == .failure(.deadlineExceeded(node)))
    #expect(transport.traffic(of: node).requestCount == before + 1)
    transport.setFault(.answerFlipped, of: node)
    for _ in 0..<20 { #expect(await send() != .success(expected)) }
    transport.setFault(.answerTruncated, of: node)
    guard case .failure(.malformedAnswer) = await send() else { throw DeadlineExceeded() }
    transport.setFault(nil, of: node)
    transport.setInterceptor { request, _ in
      if case .metadata = request { .down } else { nil }
    }
    #expect(await send() == .failure(.unreachable(node, "the simulated node is down")))
    transport.setInterceptor(nil)
    transport.disconnect(node)
    #expect(await send() == .failure(.unreachable(node, "the simulated node is down")))
  }

  @Test func `health tells who the node is and how far it is`() async throws {
    let bench = try await NodeBench()
    let running = try await bench.start()
    let blob = try bench.encode()
    try await bench.store(blob, on: running)
    bench.clock.advance(by: .seconds(3))
    guard case .health(let health) = await bench.ask(running.node, .health(detailed: true))
    else { throw DeadlineExceeded() }
    #expect(health.uptimeMilliseconds == 3000)
    #expect(health.publicKey == bench.signer.publicKey)
    #expect(health.nodeStatus == "Active")
    #expect(health.epoch == bench.committee.epoch)
    #expect(health.shards.map { Int($0.shard.value) } == [1, 2])
    #expect(health.shards.allSatisfy { $0.state == .ready })
    #expect(health.detail?.sliverCount == bench.ownCount(of: blob))
    #expect(health.detail?.driveProblems == [])
    try await running.stop()
  }
}

private struct OneAnswer: NodeService {
  let answer: NodeResponse

  func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse { answer }
}
