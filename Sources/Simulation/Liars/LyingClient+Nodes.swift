// LyingClient+Nodes.swift
//
// Lies told to storage nodes.

import Cluster
import ControlPlane
import RedStuff
import World

extension LyingClient {
  /// Sends slivers to fewer nodes than it takes, tries to have the blob certified, and goes away.
  func uploadPartially(_ bytes: [UInt8], to nodes: [NodeID]) async throws -> LieOutcome {
    let encoded = try encode(bytes)
    let registration = try await register(encoded.blobID, byteCount: bytes.count)
    var chosen: [NodeID] = []
    var shardCount = 0
    let needed = parameters.shardCount - parameters.faultyShardCountMax
    for node in nodes {
      let count = committee.member(node)?.shards.count ?? 0
      if shardCount + count < needed {
        chosen.append(node)
        shardCount += count
      }
    }
    let confirmations = await upload(
      registration, encoded.metadata.metadata, to: chosen
    ) { encoded.sliver($0, $1) }
    return await LieOutcome("a certificate of \(shardCount) of \(needed) shards") {
      _ = try await registry.certify(
        registration.object, of: encoded.blobID,
        certificate: Certificate(confirmations: confirmations))
    }
  }

  /// Right metadata, slivers that are not its own: of another blob, damaged, or each other's.
  func sendForeignSlivers(_ bytes: [UInt8], to nodes: [NodeID]) async throws -> [LieOutcome] {
    let encoded = try encode(bytes)
    let other = try encode(randomness.bytes(count: bytes.count))
    let registration = try await register(encoded.blobID, byteCount: bytes.count)
    let n = parameters.shardCount
    let wrongs: [(String, (SliverAxis, SliverIndex) -> Sliver)] = [
      ("slivers of another blob", { other.sliver($0, $1) }),
      (
        "slivers with a flipped bit",
        { axis, index in
          let sliver = encoded.sliver(axis, index)
          var wrong = sliver.bytes
          wrong[wrong.count - 1] ^= 0x80
          return Sliver(
            axis: axis, index: index, symbolByteCount: sliver.symbolByteCount, bytes: wrong)
        }
      ),
      (
        "the next sliver under this one's index",
        { axis, index in
          let next = encoded.sliver(axis, SliverIndex(UInt16((Int(index.value) + 1) % n)))
          return Sliver(
            axis: axis, index: index, symbolByteCount: next.symbolByteCount, bytes: next.bytes)
        }
      ),
      (
        "slivers cut short",
        { axis, index in
          let sliver = encoded.sliver(axis, index)
          return Sliver(
            axis: axis, index: index, symbolByteCount: sliver.symbolByteCount,
            bytes: Array(sliver.bytes.dropLast(sliver.symbolByteCount)))
        }
      ),
    ]
    var outcomes: [LieOutcome] = []
    for node in nodes {
      for (what, sliver) in wrongs {
        let entry = entry(node, registration, encoded.metadata.metadata, sliver)
        // Small blobs share slivers: zeros, mostly. What is right may be taken.
        guard entry.slivers.contains(where: { $0 != encoded.sliver($0.axis, $0.index) }) else {
          continue
        }
        let answer = await ask(.storeBatch([entry]), of: node)
        outcomes.append(
          LieOutcome("\(what) to \(node)", expecting: [.invalidSliver], answer, grants: Self.takes))
      }
    }
    try await registry.giveUp(registration.object, of: encoded.blobID)
    return outcomes
  }

  /// Metadata that is not the blob's.
  func sendWrongMetadata(_ bytes: [UInt8], to nodes: [NodeID]) async throws -> [LieOutcome] {
    let encoded = try encode(bytes)
    let right = encoded.metadata.metadata
    let registration = try await register(encoded.blobID, byteCount: bytes.count)
    let wrongs: [(String, BlobMetadata)] = [
      (
        "a hash too few",
        BlobMetadata(
          blobByteCount: right.blobByteCount, hashes: Array(right.hashes.dropLast()))
      ),
      (
        "a hash too many",
        BlobMetadata(
          blobByteCount: right.blobByteCount, hashes: right.hashes + right.hashes.suffix(1))
      ),
      (
        "the same hash for all",
        BlobMetadata(
          blobByteCount: right.blobByteCount, hashes: right.hashes.map { _ in right.hashes[0] })
      ),
      (
        "another length",
        BlobMetadata(
          blobByteCount: right.blobByteCount + 1, hashes: right.hashes)
      ),
      ("the largest length", BlobMetadata(blobByteCount: .max, hashes: right.hashes)),
    ]
    var outcomes: [LieOutcome] = []
    for node in nodes {
      for (what, metadata) in wrongs {
        let entry = entry(node, registration, metadata) { encoded.sliver($0, $1) }
        let reasons: [NodeFailure.Reason] = [
          .invalidMetadata, .malformedRequest, .invalidBlob, .invalidContentType,
        ]
        outcomes.append(
          LieOutcome(
            "metadata with \(what) to \(node)", expecting: reasons,
            await ask(.storeBatch([entry]), of: node), grants: Self.takes))
        outcomes.append(
          LieOutcome(
            "metadata alone with \(what) to \(node)", expecting: reasons,
            await ask(.storeMetadata(encoded.blobID, metadata), of: node), grants: Self.takes))
      }
    }
    try await registry.giveUp(registration.object, of: encoded.blobID)
    return outcomes
  }

  /// Registers a blob with another length than it has, and uploads it as it is.
  func registerWrongSize(_ bytes: [UInt8], honest nodes: [NodeID]) async throws -> [LieOutcome] {
    let encoded = try encode(bytes)
    let registration = try await register(encoded.blobID, byteCount: bytes.count + 1)
    var outcomes: [LieOutcome] = []
    for node in nodes {
      let entry = entry(node, registration, encoded.metadata.metadata) { encoded.sliver($0, $1) }
      outcomes.append(
        LieOutcome(
          "a registration of \(bytes.count + 1) bytes for \(bytes.count), to \(node)",
          expecting: [.invalidMetadata], await ask(.storeBatch([entry]), of: node),
          grants: Self.takes))
    }
    try await registry.giveUp(registration.object, of: encoded.blobID)
    return outcomes
  }

  /// Asks for signatures under slivers that were not sent, or not all.
  func askForUnsentConfirmations(_ bytes: [UInt8], of nodes: [NodeID]) async throws
    -> [LieOutcome]
  {
    let encoded = try encode(bytes)
    let registration = try await register(encoded.blobID, byteCount: bytes.count)
    var outcomes: [LieOutcome] = []
    for node in nodes where committee.member(node)?.shards.isEmpty == false {
      var entry = entry(node, registration, nil) { encoded.sliver($0, $1) }
      let last = entry.slivers.removeLast()
      let (blob, metadata) = (encoded.blobID, encoded.metadata.metadata)
      var empty = entry
      empty.slivers = []
      outcomes.append(
        LieOutcome(
          "a confirmation of nothing, from \(node)",
          expecting: [.metadataNotFound, .missingSlivers],
          await ask(.storeBatch([empty]), of: node), grants: Self.takes))
      outcomes.append(
        LieOutcome(
          "a confirmation of the reference's kind of nothing, from \(node)",
          expecting: [.missingSlivers],
          await ask(
            .confirmation(blob, .deletable(registration.object), waitMilliseconds: 0), of: node),
          grants: Self.takes))
      entry.metadata = metadata
      outcomes.append(
        LieOutcome(
          "a confirmation without the last sliver, \(last.axis) \(last.index), from \(node)",
          expecting: [.missingSlivers], await ask(.storeBatch([entry]), of: node),
          grants: Self.takes))
    }
    try await registry.giveUp(registration.object, of: encoded.blobID)
    return outcomes
  }

  /// Slivers of a blob that nobody registered, and for a registration that was given up.
  func sendUnregistered(_ bytes: [UInt8], to nodes: [NodeID]) async throws -> [LieOutcome] {
    let encoded = try encode(bytes)
    let metadata = encoded.metadata.metadata
    let ended = try await register(encoded.blobID, byteCount: bytes.count)
    try await registry.giveUp(ended.object, of: encoded.blobID)
    var invented = ended
    if let object = ObjectID(randomness.bytes(count: 32)) { invented.object = object }
    var outcomes: [LieOutcome] = []
    for node in nodes {
      for (what, registration) in [("invented", invented), ("ended", ended)] {
        let entry = entry(node, registration, metadata) { encoded.sliver($0, $1) }
        outcomes.append(
          LieOutcome(
            "slivers for an \(what) registration, to \(node)", expecting: [.notRegistered],
            await ask(.storeBatch([entry]), of: node), grants: Self.takes))
      }
    }
    return outcomes
  }

  /// Slivers of shards that another node keeps.
  func askForForeignShards(_ bytes: [UInt8], of nodes: [NodeID]) async throws -> [LieOutcome] {
    let encoded = try encode(bytes)
    let blob = encoded.blobID
    let registration = try await register(blob, byteCount: bytes.count)
    var outcomes: [LieOutcome] = []
    for node in nodes {
      guard let other = committee.members.first(where: { $0.id != node && !$0.shards.isEmpty }),
        let pair = committee.pairs(of: blob, keptBy: other.id).first
      else { continue }
      let foreign = entry(other.id, registration, encoded.metadata.metadata) {
        encoded.sliver($0, $1)
      }
      outcomes.append(
        LieOutcome(
          "slivers of \(other.id) to \(node)", expecting: [.shardNotAssigned],
          await ask(.storeBatch([foreign]), of: node), grants: Self.takes))
      let item = ReadItem(
        blob: blob, pair: pair, axis: .primary, symbols: 0..<1, wantsPaths: false)
      outcomes.append(
        LieOutcome(
          "a read of \(pair) of \(other.id) from \(node)", expecting: [.shardNotAssigned],
          await ask(.readBatch([item]), of: node), grants: Self.takes))
      outcomes.append(
        LieOutcome(
          "\(pair) of \(other.id) from \(node)", expecting: [.shardNotAssigned],
          await ask(.sliver(blob, pair, .primary), of: node), grants: Self.takes))
    }
    try await registry.giveUp(registration.object, of: blob)
    return outcomes
  }

  /// Batches of as many items as allowed are answered, one more is refused.
  func exceedBatchLimits(at nodes: [NodeID]) async -> [LieOutcome] {
    var outcomes: [LieOutcome] = []
    let blob = BlobID(Digest(hashing: randomness.bytes(count: 32)))
    guard let object = ObjectID(randomness.bytes(count: 32)), let node = nodes.first,
      let pair = committee.pairs(of: blob, keptBy: node).first
    else { return [] }
    let item = ReadItem(
      blob: blob, pair: pair, axis: .secondary, symbols: 0..<1, wantsPaths: false)
    let entry = StoreEntry(
      blob: blob, object: object, metadata: nil, slivers: [], wantsConfirmation: true)
    let countMax = NodeMessageLimits.batchItemCountMax
    for (surplus, reasons) in [(0, [.notRegistered]), (1, Self.tooMany)] {
      let items = Array(repeating: item, count: countMax + surplus)
      outcomes.append(
        LieOutcome(
          "a read of \(items.count) items that nobody has", expecting: reasons,
          await ask(.readBatch(items), of: node), grants: Self.takes))
      let entries = Array(repeating: entry, count: countMax + surplus)
      outcomes.append(
        LieOutcome(
          "\(entries.count) entries that nobody registered", expecting: reasons,
          await ask(.storeBatch(entries), of: node), grants: Self.takes))
    }
    return outcomes
  }

  private static let tooMany: [NodeFailure.Reason] = [.requestTooLarge, .malformedRequest]

  /// Whether a node took or gave anything.
  static func takes(_ response: NodeResponse) -> Bool {
    switch response {
    case .storeBatch(let outcomes):
      outcomes.contains { if case .refused = $0 { false } else { true } }
    case .readBatch(let outcomes, _):
      outcomes.contains { if case .symbols = $0 { true } else { false } }
    case .storedStatus(let status): status != .nonexistent
    case .failure: false
    default: true
    }
  }
}
