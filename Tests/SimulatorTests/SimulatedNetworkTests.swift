// SimulatedNetworkTests.swift
//
// What a process may see of the others: each trouble does what it says, and a node's work belongs to
// the node.

import Cluster
import RedStuff
import Simulator
import Synchronization
import Testing
import World

/// Answers health requests, and can be held; counts what reaches it.
private final class Echo: NodeService {
  struct State {
    var requests: [NodeRequest] = []
    var isHeld = false
    var cancelledCount = 0
  }

  private let clock: any Clock
  let state = Mutex(State())

  init(clock: any Clock) { self.clock = clock }

  var count: Int { state.withLock { $0.requests.count } }
  func hold() { state.withLock { $0.isHeld = true } }

  func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse {
    let isHeld = state.withLock { state in
      state.requests.append(request)
      return state.isHeld
    }
    if isHeld {
      do {
        try await clock.sleep(until: deadline)
      } catch {
        state.withLock { $0.cancelledCount += 1 }
      }
    }
    return .storedStatus(.stored)
  }
}

// One test at a time: each lets time pass by waiting until nothing happens, and many at once would wait
// for each other.
@Suite(.serialized, .timeLimit(.minutes(5))) struct SimulatedNetworkTests {
  let clock = VirtualClock()
  let trace = Trace()
  let network: SimulatedNetwork
  let client = ProcessLife(name: "client")
  let server = ProcessLife(name: "server")
  let endpoint: SimulatedEndpoint
  fileprivate let echo: Echo
  static let node = NodeID(3)
  static let request = NodeRequest.metadataStatus(BlobID(Digest(hashing: [1])))

  init() throws {
    network = SimulatedNetwork(
      parameters: try EncodingParameters(shardCount: 7), clock: clock,
      randomness: SeededRandomness(seed: 5), trace: trace)
    endpoint = network.endpoint(of: client, zone: "a", clock: clock)
    echo = Echo(clock: clock)
    _ = network.endpoint(of: server, zone: "b", clock: clock)
    network.listen(Self.node, service: echo, life: server)
  }

  func trouble(
    from source: NetworkPlace = .everywhere, to target: NetworkPlace = .everywhere,
    _ change: (inout LinkTrouble) -> Void
  ) {
    var trouble = LinkTrouble()
    change(&trouble)
    network.setTrouble(trouble, from: source, to: target)
  }

  /// By default the deadline lies beyond what `running` lets pass.
  func send(within duration: Duration = .seconds(6000)) async -> Result<
    NodeResponse, TransportError
  > {
    do throws(TransportError) {
      return .success(
        try await endpoint.send(Self.request, to: Self.node, deadline: clock.now + duration))
    } catch {
      return .failure(error)
    }
  }

  /// Lets time pass, at most this much, while the work is done; not a moment more.
  func running<Value: Sendable>(
    _ limit: Duration = .seconds(30), _ work: @escaping @Sendable () async throws -> Value
  ) async throws -> Value {
    let end = clock.now + limit
    let isDone = Mutex(false)
    async let value = {
      defer { isDone.withLock { $0 = true } }
      return try await work()
    }()
    while !isDone.withLock({ $0 }) {
      for _ in 0..<200 where !isDone.withLock({ $0 }) { await Task.yield() }
      if let next = clock.nextDeadline, next <= end, !isDone.withLock({ $0 }) {
        clock.advance(to: next)
      }
    }
    return try await value
  }

  @Test func `a request reaches its node, and its answer comes back`() async throws {
    let start = clock.now
    let answer = try await running { await send() }
    #expect(answer == .success(.storedStatus(.stored)))
    #expect(clock.now - start > .milliseconds(2) && clock.now - start < .seconds(5))
    let traffic = network.traffic()
    #expect(traffic.requestCount == 1 && traffic.answerCount == 1)
    #expect(traffic.requestByteCount > 60 && traffic.answerByteCount > 60)
    #expect(network.traffic { $0.crossesZones } == traffic)
    #expect(network.traffic { $0.process == "client" && $0.node == Self.node } == traffic)
    #expect(network.traffic { $0.nodeZone == "a" } == NetworkTraffic())
    #expect(network.servingCount == 0 && network.carryingCount == 0)
  }

  @Test func `inside a zone it takes less time than across`() async throws {
    let near = ProcessLife(name: "near")
    let neighbour = network.endpoint(of: near, zone: "b", clock: clock)
    let deadline = clock.now + .seconds(6000)
    var durations: [Duration] = []
    for endpoint in [endpoint, neighbour] {
      let start = clock.now
      try await running(.seconds(500)) {
        for _ in 0..<50 {
          _ = try await endpoint.send(Self.request, to: Self.node, deadline: deadline)
        }
      }
      durations.append(clock.now - start)
    }
    #expect(durations[1] * 4 < durations[0])
  }

  @Test func `nobody listens, or refuses, or breaks the connection: the asker learns it`()
    async throws
  {
    network.unlisten(Self.node, life: server)
    let nobody = try await running { await send() }
    #expect(nobody == .failure(.unreachable(Self.node, "nobody listens there")))
    network.listen(Self.node, service: echo, life: server)
    trouble { $0.refusals = 1 }
    let refused = try await running { await send() }
    #expect(refused == .failure(.unreachable(Self.node, "the connection was refused")))
    trouble(from: .process("client")) { $0.resets = 1 }
    let broken = try await running { await send() }
    #expect(
      broken == .failure(.unreachable(Self.node, "the connection broke under the request")))
    #expect(echo.count == 0)
    network.setTrouble(nil, from: .process("client"))
    trouble { $0.resets = 0 }
    trouble(from: .process("server")) { $0.resets = 1 }
    let late = try await running { await send() }
    #expect(late == .failure(.unreachable(Self.node, "the connection broke under the answer")))
    #expect(echo.count == 1)
  }

  @Test func `a one-way partition loses the requests, the other way the answers`() async throws {
    trouble(from: .zone("a"), to: .process("server")) { $0.loss = 1 }
    let lost = try await running { await send(within: .seconds(10)) }
    #expect(lost == .failure(.deadlineExceeded(Self.node)))
    #expect(echo.count == 0)
    network.heal()
    trouble(from: .process("server"), to: .everywhere) { $0.loss = 1 }
    let unheard = try await running { await send(within: .seconds(10)) }
    #expect(unheard == .failure(.deadlineExceeded(Self.node)))
    #expect(echo.count == 1)
    network.heal()
    #expect(try await running { await send() } == .success(.storedStatus(.stored)))
  }

  @Test func `what was said of two processes counts before what was said of zones or of all`()
    async throws
  {
    trouble { $0.loss = 1 }
    trouble(from: .zone("a"), to: .zone("b")) { $0.refusals = 1 }
    let refused = try await running { await send() }
    #expect(refused == .failure(.unreachable(Self.node, "the connection was refused")))
    let place = try #require(network.place(of: Self.node))
    network.setTrouble(LinkTrouble(), from: .process("client"), to: place)
    network.setTrouble(LinkTrouble(), from: place)
    #expect(try await running { await send() } == .success(.storedStatus(.stored)))
  }

  @Test func `half-open connections are accepted and never answered`() async throws {
    trouble { $0.halfOpen = 1 }
    let start = clock.now
    let answer = try await running { await send(within: .seconds(7)) }
    #expect(answer == .failure(.deadlineExceeded(Self.node)))
    #expect(clock.now == start + .seconds(7))
    #expect(echo.count == 0)
  }

  @Test func `a clogged link delivers when it is free, or healed`() async throws {
    let end = clock.now + .seconds(30)
    trouble(to: .process("server")) { $0.cloggedUntil = end }
    #expect(
      try await running(.seconds(60)) { await send(within: .seconds(60)) }
        == .success(.storedStatus(.stored)))
    #expect(clock.now >= end)
    let later = clock.now + .seconds(3000)
    trouble(to: .process("server")) { $0.cloggedUntil = later }
    let waiting = Task { await send(within: .seconds(60)) }
    try await eventually { network.carryingCount == 1 }
    network.heal()
    #expect(try await running { await waiting.value } == .success(.storedStatus(.stored)))
    #expect(clock.now < later)
  }

  @Test func `a node may get a request twice, and once more when it is forgotten`() async throws {
    trouble {
      $0.duplication = 1
      $0.replays = 1
      $0.replayDelay = .seconds(3600)
    }
    let start = clock.now
    _ = try await running { await send() }
    network.heal()
    clock.advance(by: .seconds(60))
    try await eventually { echo.count == 2 && network.servingCount == 0 }
    clock.advance(by: .seconds(60))
    try await eventually { network.carryingCount == 1 }
    clock.advance(by: .seconds(5400))
    try await eventually { echo.count == 3 && network.servingCount == 0 }
    #expect(clock.now - start > .seconds(1800))
    #expect(network.traffic().answerCount == 2)
  }

  @Test func `held back, a request is overtaken`() async throws {
    trouble {
      $0.delayAcrossZones = DelayDistribution(median: .milliseconds(1), tail: 0)
      $0.reordering = 0.5
    }
    let other = NodeRequest.health(detailed: false)
    let order = try await running(.seconds(500)) { () async throws -> Set<String> in
      var orders: Set<String> = []
      for _ in 0..<20 {
        let before = echo.count
        let first = Task { await send() }
        while network.carryingCount == 0 { await Task.yield() }
        _ = try? await endpoint.send(other, to: Self.node, deadline: clock.now + .seconds(6000))
        _ = await first.value
        let pair = echo.state.withLock { $0.requests[before...].map { "\($0)" } }
        orders.insert(pair.joined(separator: ","))
      }
      return orders
    }
    #expect(order.count == 2)
  }

  @Test func `damaged messages never pass for others' answers`() async throws {
    trouble {
      $0.flips = 0.5
      $0.truncation = 0.3
    }
    let outcomes = try await running(.seconds(1000)) {
      var outcomes: [Result<NodeResponse, TransportError>] = []
      for _ in 0..<200 { outcomes.append(await send()) }
      return outcomes
    }
    var (good, refused, malformed) = (0, 0, 0)
    for outcome in outcomes {
      switch outcome {
      case .success(.failure): refused += 1
      case .success(let answer):
        #expect(answer == .storedStatus(.stored))
        good += 1
      case .failure(.malformedAnswer): malformed += 1
      case .failure(let error): Issue.record("\(error)")
      }
    }
    #expect(good > 10 && refused > 10 && malformed > 10)
  }

  // MARK: Whose work it is

  @Test func `an asker that gives up leaves the node working, or by dice it notices`() async throws
  {
    echo.hold()
    for (noticed, cancelledCount) in [(0.0, 0), (1.0, 1)] {
      trouble { $0.noticedCloses = noticed }
      let answer = try await running { await send(within: .seconds(1)) }
      #expect(answer == .failure(.deadlineExceeded(Self.node)))
      clock.advance(by: .seconds(5))
      try await eventually { network.servingCount == 1 - cancelledCount }
      #expect(echo.state.withLock { $0.cancelledCount } == cancelledCount)
      clock.advance(by: SimulatedNetwork.answerDurationMax)
      try await eventually { network.servingCount == 0 }
    }
    let asking = Task { await send(within: .seconds(1)) }
    try await eventually { network.carryingCount > 0 }
    asking.cancel()
    #expect(await asking.value == .failure(.cancelled))
  }

  @Test func `with its process a node's work ends, and its answers are never heard`() async throws {
    echo.hold()
    let heard = Mutex(0)
    network.observe { _, _, _, _ in heard.withLock { $0 += 1 } }
    var outcomes: Set<String> = []
    for round in 0..<20 {
      let life = ProcessLife(name: "server")
      _ = network.endpoint(of: life, zone: "b", clock: clock)
      network.listen(Self.node, service: echo, life: life)
      let asking = Task { await send(within: .seconds(10)) }
      try await eventually { network.carryingCount == 1 }
      clock.advance(by: .seconds(5))
      try await eventually { network.servingCount == 1 }
      life.end()
      await network.end(life)
      #expect(network.servingCount == 0)
      #expect(echo.state.withLock { $0.cancelledCount } == round + 1)
      let outcome = try await running { await asking.value }
      guard case .failure(let error) = outcome else {
        Issue.record("\(outcome)")
        continue
      }
      outcomes.insert("\(error)")
      let after = try await running { await send() }
      #expect(after == .failure(.unreachable(Self.node, "nobody listens there")))
    }
    #expect(outcomes == ["no answer in time", "out of reach: the connection broke"])
    #expect(heard.withLock { $0 } == 0)
  }

  @Test func `the end of an old process leaves the new one alone`() async throws {
    let next = ProcessLife(name: "server")
    _ = network.endpoint(of: next, zone: "b", clock: clock)
    network.listen(Self.node, service: echo, life: next)
    await network.end(server)
    network.unlisten(Self.node, life: server)
    #expect(try await running { await send() } == .success(.storedStatus(.stored)))
  }

  @Test func `a dead process sends nothing`() async throws {
    client.end()
    #expect(await send() == .failure(.cancelled))
    #expect(network.traffic() == NetworkTraffic())
  }

  @Test func `only honest answers are observed`() async throws {
    let seen = Mutex<[NodeRequest]>([])
    network.observe { request, response, life, node in
      #expect(response == .storedStatus(.stored) && life === server && node == Self.node)
      seen.withLock { $0.append(request) }
    }
    _ = try await running { await send() }
    #expect(seen.withLock { $0 } == [Self.request])
    network.listen(Self.node, service: echo, life: server, isHonest: false)
    _ = try await running { await send() }
    #expect(seen.withLock { $0.count } == 1)
  }

  @Test func `a deadline is told by the asker's clock`() async throws {
    let slow = ProcessLife(name: "slow")
    let slowClock = ProcessClock(
      master: clock, life: slow, trace: trace, start: Instant(nanoseconds: 77), drift: -20_000)
    let endpoint = network.endpoint(of: slow, zone: "a", clock: slowClock)
    trouble { $0.loss = 1 }
    let start = clock.now
    await #expect(throws: TransportError.deadlineExceeded(Self.node)) {
      try await running(.seconds(200)) {
        _ = try await endpoint.send(
          Self.request, to: Self.node, deadline: slowClock.now + .seconds(98))
      }
    }
    #expect(clock.now - start >= .seconds(100) && clock.now - start < .seconds(101))
  }

  @Test func `shut down, it carries nothing more`() async throws {
    trouble {
      $0.replays = 1
      $0.replayDelay = .seconds(3600)
    }
    _ = try await running { await send() }
    #expect(network.carryingCount == 1)
    await network.shutDown()
    #expect(network.carryingCount == 0 && clock.sleeperCount == 0)
    #expect(
      try await running { await send(within: .seconds(10)) }
        == .failure(.deadlineExceeded(Self.node)))
  }
}
