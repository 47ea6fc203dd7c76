// AdministrationTests.swift

import AsyncHTTPClient
import Cluster
import Drivers
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import RedStuff
import Routing
import Synchronization
import Testing

@testable import Gateway

final class FakeAdministration: ClusterAdministration {
  let calls = Mutex<[String]>([])

  static let info = ClusterInfo(
    name: "test", clusterId: "00", epoch: 3, epochSeconds: nil, shardCount: 10,
    faultyShardCountMax: 3, blobByteCountMax: 1, uploadByteCountMax: 1, expansion: 4.5,
    tolerances: [
      .init(
        DomainTolerance(level: .node, domainCount: 10, readableLossMax: 6, writableLossMax: 3))
    ],
    nodes: [.init(name: "node-1", id: 1, shardCount: 10, address: "")])
  static let report = NodeReport(name: "node-1", id: 1, state: .running, shardCount: 10)

  func info() async throws(GatewayFailure) -> ClusterInfo { Self.info }
  func health() async throws(GatewayFailure) -> ClusterHealth {
    ClusterHealth(canRead: true, canWrite: false, nodes: [Self.report])
  }
  func stop(node name: String) async throws(GatewayFailure) -> NodeReport { try did("stop", name) }
  func completeShardCount(of blob: BlobID) async throws(GatewayFailure) -> Int { 5 }
  func start(node name: String) async throws(GatewayFailure) -> NodeReport {
    try did("start", name)
  }
  func wipe(node name: String) async throws(GatewayFailure) -> NodeReport { try did("wipe", name) }

  func repair() async throws(GatewayFailure) -> ClusterRepair { Self.repair }
  func change(repair action: RepairAction, node name: String?)
    async throws(GatewayFailure) -> ClusterRepair
  {
    _ = try did("\(action)", name ?? "node-1", of: name)
    return Self.repair
  }
  static var traffic: ClusterTraffic {
    var count = TrafficCount()
    count.requestCount = 2
    count.answerByteCount = 100
    return ClusterTraffic(
      flows: [
        .init(from: "gateway", to: "node-1", purpose: .read, crossesZones: false, count)
      ])
  }
  func traffic() async -> ClusterTraffic { Self.traffic }
  func scrub() async throws(GatewayFailure) -> ClusterScrub { Self.scrub }
  func change(scrub action: ScrubAction, node name: String?)
    async throws(GatewayFailure) -> ClusterScrub
  {
    _ = try did("scrub \(action)", name ?? "node-1", of: name)
    return Self.scrub
  }

  static var repair: ClusterRepair {
    var node = NodeRepair(name: "node-1", id: 1)
    node.missingSliverCount = 6
    node.missingBlobCount = 2
    node.recoveringBlobCount = 1
    node.reasons = ["rotten": 6]
    node.shards = [.init(shard: 4, missingSliverCount: 6)]
    node.shortfalls = [.init(lostShardCount: 1, blobCount: 2, delaySeconds: 600)]
    node.liars = [
      Liar(LiarReport(node: NodeID(2), count: 3, evidence: nil), name: "node-2")
    ]
    node.byteRateMax = 1000
    return ClusterRepair(nodes: [node])
  }
  static var scrub: ClusterScrub {
    var node = NodeScrub(name: "node-1", id: 1)
    node.verifiedByteCount = 7
    node.totalByteCount = 70
    return ClusterScrub(nodes: [node])
  }

  private func did(_ what: String, _ name: String, of given: String?)
    throws(GatewayFailure) -> NodeReport
  {
    guard given == nil else { return try did(what, name) }
    calls.withLock { $0.append("\(what) all") }
    return Self.report
  }

  private func did(_ what: String, _ name: String) throws(GatewayFailure) -> NodeReport {
    calls.withLock { $0.append("\(what) \(name)") }
    guard name == "node-1" else {
      throw GatewayFailure(.notFound, "NODE_NOT_FOUND", "there is no node \(name)")
    }
    return Self.report
  }
}

@Suite(.timeLimit(.minutes(1))) struct AdministrationTests {
  struct Harness {
    let service: FakeBlobService
    let administration: FakeAdministration
    let base: String

    func send(_ method: HTTPMethod, _ path: String) async throws -> Received {
      var request = HTTPClientRequest(url: base + path)
      request.method = method
      return try await Received(HTTPClient.shared.execute(request, timeout: .seconds(30)))
    }
  }

  func withAdministration(_ body: (Harness) async throws -> Void) async throws {
    let directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("walrus-\(UInt32.random(in: 0 ... .max))").path
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = directory + "/admin.sock"
    let administration = FakeAdministration()
    try await withGateway { gateway in
      let api = AdministrationAPI(gateway: gateway.gateway, administration: administration)
      let listener = try await HTTPListener.start(
        at: .unixSocket(path: path), clock: SystemClock(), logger: Logger(label: "test"),
        responder: api.respond)
      let escaped = try #require(path.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
      let harness = Harness(
        service: gateway.service, administration: administration, base: "http+unix://\(escaped)")
      do { try await body(harness) } catch {
        await listener.stop(grace: .milliseconds(200))
        throw error
      }
      await listener.stop(grace: .milliseconds(200))
    }
  }

  @Test func `info and health come from the cluster`() async throws {
    try await withAdministration { admin in
      #expect(
        try await admin.send(.GET, "/admin/info").json(ClusterInfo.self) == FakeAdministration.info)
      let health = try await admin.send(.GET, "/admin/health").json(ClusterHealth.self)
      #expect(health.nodes == [FakeAdministration.report])
      #expect(!health.canWrite)
    }
  }

  @Test func `nodes are stopped, started and wiped by name`() async throws {
    try await withAdministration { admin in
      for action in ["stop", "start", "wipe"] {
        let answer = try await admin.send(.POST, "/admin/cluster/nodes/node-1/\(action)")
        #expect(try answer.json(NodeReport.self) == FakeAdministration.report)
      }
      #expect(
        admin.administration.calls.withLock { $0 } == [
          "stop node-1", "start node-1", "wipe node-1",
        ])
      let unknown = try await admin.send(.POST, "/admin/cluster/nodes/node%20x/stop")
      #expect(unknown.status == 404)
      #expect(try unknown.failure.message.contains("node x"))
      #expect(try await admin.send(.POST, "/admin/cluster/nodes/node-1/burn").status == 404)
      #expect(try await admin.send(.GET, "/admin/cluster/nodes/node-1/stop").status == 405)
    }
  }

  @Test func `registrations are listed page by page, each once`() async throws {
    try await withAdministration { admin in
      let added = (0..<7).map { admin.service.add([UInt8($0 / 2)]).object.description }
      var seen: [String] = []
      var after = ""
      repeat {
        let page = try await admin.send(.GET, "/admin/blobs?limit=3&after=\(after)")
          .json(BlobListReply.self)
        #expect(page.blobs.count <= 3)
        seen += page.blobs.map(\.objectId)
        after = page.next ?? ""
      } while !after.isEmpty
      #expect(seen.sorted() == added.sorted())
    }
  }

  @Test(arguments: ["limit=0", "limit=1001", "limit=x", "after=x", "after=a.b", "afer=1"])
  func `a list that is not understood is refused`(query: String) async throws {
    try await withAdministration { admin in
      let answer = try await admin.send(.GET, "/admin/blobs?" + query)
      #expect(answer.status == 400)
    }
  }

  @Test func `a blob is described by its registrations`() async throws {
    try await withAdministration { admin in
      let registration = admin.service.add([1, 2, 3], persistence: .permanent, epochs: 5)
      let report = try await admin.send(.GET, "/admin/blobs/\(registration.blob)")
        .json(BlobReport.self)
      #expect(report.size == 3)
      #expect(report.isCertified)
      #expect(report.registrations.map(\.objectId) == [registration.object.description])
      #expect(report.registrations.first?.state == .certified)
      #expect(report.registrations.first?.endEpoch == 8)
      #expect(report.registrations.first?.deletable == false)
      let unknown = try await admin.send(.GET, "/admin/blobs/\(FakeBlobService.blobID(of: [9]))")
      #expect(unknown.status == 404)
      #expect(try await admin.send(.GET, "/admin/blobs/x").status == 400)
    }
  }

  @Test func `registrations are extended and deleted`() async throws {
    try await withAdministration { admin in
      let registration = admin.service.add([1], epochs: 5)
      let path = "/admin/blobs/\(registration.blob)"
      let extended = try await admin.send(
        .POST, path + "/extend?epochs=2&object=\(registration.object)"
      ).json(BlobReport.self)
      #expect(extended.registrations.first?.endEpoch == 10)
      #expect(try await admin.send(.POST, path + "/extend").status == 400)
      #expect(try await admin.send(.POST, path + "/extend?epochs=0").status == 400)
      #expect(try await admin.send(.DELETE, path).json(DeletionReply.self).deleted == 1)
      #expect(try await admin.send(.DELETE, path).json(DeletionReply.self).deleted == 0)
    }
  }

  @Test func `the administration is not served on a port`() async throws {
    try await withGateway { gateway in
      #expect(try await gateway.get("/admin/info").status == 404)
      let api = AdministrationAPI(
        gateway: gateway.gateway, administration: FakeAdministration())
      let listener = try await HTTPListener.start(
        at: .tcp(host: "127.0.0.1", port: 0), clock: SystemClock(), logger: Logger(label: "test"),
        responder: api.respond)
      let request = HTTPClientRequest(
        url: "http://127.0.0.1:\(listener.port ?? 0)/admin/info")
      let answer = try await Received(HTTPClient.shared.execute(request, timeout: .seconds(5)))
      #expect(answer.status == 404)
      await listener.stop(grace: .milliseconds(200))
    }
  }
}
