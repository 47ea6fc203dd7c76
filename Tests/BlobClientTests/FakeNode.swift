// FakeNode.swift
//
// A storage node without a disk: keeps slivers in memory, answers what a client asks, and can be
// told to lie. It checks nothing, so that tests can plant whatever they like.

import Cluster
import RedStuff
import Routing
import Synchronization
import World

final class FakeNode: NodeService {
  enum Behaviour: Sendable {
    case honest
    /// One bit of each answer's first symbol is wrong; paths, where asked for, are the right ones.
    case lies
    /// Wrong only where no path is asked for.
    case liesWithoutPaths
    case wrongLength
    case refuses(NodeFailure)
    case noOutcomes
    case forgesConfirmations
    case wrongMetadata
  }

  struct Kept: Sendable {
    var metadata: BlobMetadata?
    var slivers: [MatrixLine: Sliver] = [:]
  }

  private struct State {
    var blobs: [BlobID: Kept] = [:]
    var behaviour = Behaviour.honest
    var receivedByteCount = 0
    var storeRequests: [StoreEntry] = []
    var readItems: [ReadItem] = []
  }

  let signer: NodeSigner
  private let cluster: ClusterID
  private let committee: Committee
  private let state = Mutex(State())

  init(signer: NodeSigner, cluster: ClusterID, committee: Committee) {
    self.signer = signer
    self.cluster = cluster
    self.committee = committee
  }

  var id: NodeID { signer.node }
  private var parameters: EncodingParameters { committee.parameters }

  func behave(_ behaviour: Behaviour) { state.withLock { $0.behaviour = behaviour } }
  func plant(_ blob: BlobID, _ kept: Kept) { state.withLock { $0.blobs[blob] = kept } }
  func kept(_ blob: BlobID) -> Kept? { state.withLock { $0.blobs[blob] } }
  func lose(_ blob: BlobID, _ lines: [MatrixLine]) {
    state.withLock { state in
      for line in lines { state.blobs[blob]?.slivers[line] = nil }
    }
  }
  var receivedByteCount: Int { state.withLock { $0.receivedByteCount } }
  var storeRequests: [StoreEntry] { state.withLock { $0.storeRequests } }
  var readItems: [ReadItem] { state.withLock { $0.readItems } }

  func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse {
    let behaviour = state.withLock { $0.behaviour }
    if case .refuses(let failure) = behaviour { return .failure(failure) }
    switch request {
    case .metadata(let blob):
      guard let metadata = kept(blob)?.metadata else {
        return .failure(NodeFailure(.metadataNotFound, "no metadata"))
      }
      if case .wrongMetadata = behaviour {
        return .metadata(
          blob, BlobMetadata(blobByteCount: metadata.blobByteCount + 1, hashes: metadata.hashes))
      }
      return .metadata(blob, metadata)
    case .storeBatch(let entries): return .storeBatch(entries.map { store($0, behaviour) })
    case .readBatch(let items, _):
      state.withLock { $0.readItems += items }
      if case .noOutcomes = behaviour { return .readBatch([]) }
      return .readBatch(items.map { read($0, behaviour) })
    default: return .failure(NodeFailure(.malformedRequest, "not played"))
    }
  }

  private func store(_ entry: StoreEntry, _ behaviour: Behaviour) -> StoreOutcome {
    state.withLock { state in
      var kept = state.blobs[entry.blob] ?? Kept()
      if let metadata = entry.metadata { kept.metadata = metadata }
      for sliver in entry.slivers {
        kept.slivers[MatrixLine(sliver.axis, Int(sliver.index.value))] = sliver
        state.receivedByteCount += sliver.bytes.count
      }
      state.blobs[entry.blob] = kept
      state.storeRequests.append(entry)
      guard entry.wantsConfirmation else { return .stored }
      let count = (committee.member(id)?.shards.count ?? 0) * 2
      guard kept.metadata != nil, kept.slivers.count == count else {
        return .refused(NodeFailure(.missingSlivers, "\(kept.slivers.count) of \(count)"))
      }
      var confirmation = signer.confirm(
        cluster: cluster, epoch: committee.epoch, blob: entry.blob, object: entry.object)
      if case .forgesConfirmations = behaviour { confirmation.signature[0] ^= 1 }
      return .confirmed(confirmation)
    }
  }

  private func read(_ item: ReadItem, _ behaviour: Behaviour) -> ReadOutcome {
    let index = item.pair.sliver(item.axis, shardCount: parameters.shardCount)
    guard let sliver = kept(item.blob)?.slivers[MatrixLine(item.axis, Int(index.value))] else {
      return .missing
    }
    guard let expanded = try? sliver.expanded(parameters: parameters) else { return .missing }
    var bytes = item.symbols.flatMap { Array(expanded.symbol(at: $0)) }
    let paths = item.wantsPaths ? item.symbols.map { expanded.tree.proof(ofLeaf: $0) } : []
    switch behaviour {
    case .lies: bytes[0] ^= 1
    case .liesWithoutPaths where !item.wantsPaths: bytes[0] ^= 1
    case .wrongLength: bytes.removeLast()
    default: break
    }
    return .symbols(bytes: bytes, paths: paths)
  }
}
