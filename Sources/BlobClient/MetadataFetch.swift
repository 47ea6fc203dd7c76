// MetadataFetch.swift
//
// The metadata of a blob, from whichever node has it first. It is believed because it recomputes to
// the blob ID, so any node will do.

import Cluster
import Logging
import RedStuff
import Routing
import World

struct MetadataFetch: Sendable {
  /// Nodes asked at once, once the first takes long.
  static let concurrencyMax = 3

  let services: ClientServices

  private enum Event: Sendable {
    case answered(NodeID, Result<NodeResponse, TransportError>)
    case late(NodeID)
    case dropped
  }

  func metadata(of blob: BlobID) async throws(BlobClientError) -> VerifiedBlobMetadata {
    if let known = services.metadataCache.value(of: blob) { return known }
    var notes = FetchNotes()
    for retry in 0...services.configuration.retryCountMax {
      if retry > 0, !(await services.sleeps(until: services.clock.now + services.retryDelay(retry)))
      {
        throw .cancelled
      }
      let round = await askAround(blob, &notes)
      if let found = round.metadata {
        services.metadataCache.insert(found, of: blob)
        return found
      }
      if Task.isCancelled { throw .cancelled }
      if !round.mayPass { break }
    }
    if notes.isForbidden { throw .forbidden(blob) }
    throw .unavailable(reason: "no node gives the metadata of blob \(blob): \(notes.summary)")
  }

  /// Asks every node once, best first, the next one when one fails or takes long.
  private func askAround(_ blob: BlobID, _ notes: inout FetchNotes)
    async -> (metadata: VerifiedBlobMetadata?, mayPass: Bool)
  {
    var waiting = services.peers.ordered(services.committee.members)[...]
    return await withTaskGroup(
      of: Event.self, returning: (metadata: VerifiedBlobMetadata?, mayPass: Bool).self
    ) { group in
      defer { group.cancelAll() }
      var inFlight: Set<NodeID> = []
      var mayPass = false
      /// How many to ask because nobody was asked yet, or one failed.
      var wanted = 1
      while true {
        while wanted > 0, let member = waiting.popFirst() {
          wanted -= 1
          inFlight.insert(member.id)
          ask(member.id, for: blob, isHedge: false, in: &group)
        }
        guard !inFlight.isEmpty, !Task.isCancelled, let event = await group.next() else {
          return (nil, mayPass)
        }
        switch event {
        case .dropped: break
        case .late(let node):
          guard inFlight.contains(node), inFlight.count < Self.concurrencyMax, !waiting.isEmpty
          else { break }
          guard services.peers.takeHedges(1), let member = waiting.popFirst() else {
            timer(services.configuration.hedgeRetryDelay, for: node, in: &group)
            break
          }
          inFlight.insert(member.id)
          ask(member.id, for: blob, isHedge: true, in: &group)
        case .answered(let node, let result):
          inFlight.remove(node)
          wanted += 1
          switch result {
          case .success(.metadata(blob, let metadata)):
            if let verified = await verified(metadata, of: blob) { return (verified, false) }
            services.peers.distrust(node)
            notes.add("its metadata does not belong to the blob", from: node)
          case .success(.failure(let failure)):
            mayPass = mayPass || failure.isPassing
            notes.add(failure, from: node)
          case .success:
            services.peers.distrust(node)
            notes.add("the answer does not fit the request", from: node)
          case .failure(let error):
            mayPass = true
            notes.add("\(error)", from: node)
          }
        }
      }
    }
  }

  private func ask(
    _ node: NodeID, for blob: BlobID, isHedge: Bool, in group: inout TaskGroup<Event>
  ) {
    let services = services
    let byteCount = services.parameters.shardCount * MemoryLayout<SliverPairHashes>.stride
    let deadline = services.clock.now + services.configuration.requestDeadline
    group.addTask {
      .answered(
        node,
        await services.peers.send(
          .metadata(blob), for: .metadata, to: node, deadline: deadline,
          over: services.transport,
          as: isHedge ? .hedge(byteCount: byteCount) : .read(byteCount: byteCount)))
    }
    timer(services.hedgeDelay(for: node, byteCount: byteCount), for: node, in: &group)
  }

  private func timer(
    _ delay: Duration, for node: NodeID, in group: inout TaskGroup<Event>
  ) {
    let services = services
    let end = services.clock.now + delay
    group.addTask { await services.sleeps(until: end) ? .late(node) : .dropped }
  }

  private func verified(_ metadata: BlobMetadata, of blob: BlobID) async -> VerifiedBlobMetadata? {
    let parameters = services.parameters
    let claimed = PlantedBug.metadataUnchecked.isPlanted ? metadata.computedBlobID : blob
    do {
      return try await services.compute.run {
        () throws(BlobMetadataError) -> VerifiedBlobMetadata in
        try VerifiedBlobMetadata(metadata, of: claimed, parameters: parameters)
      }
    } catch {
      sometimes(.metadataRefused)
      services.logger.warning("metadata of blob \(blob) refused: \(error)")
      return nil
    }
  }
}
