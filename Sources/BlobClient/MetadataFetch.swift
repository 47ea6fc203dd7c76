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
    case late
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
    let members = services.committee.members
    var waiting = services.peers.ordered(
      members, rotation: services.randomness.number(below: members.count))[...]
    return await withTaskGroup(
      of: Event.self, returning: (metadata: VerifiedBlobMetadata?, mayPass: Bool).self
    ) { group in
      defer { group.cancelAll() }
      var inFlightCount = 0
      var wanted = 1
      var mayPass = false
      while true {
        while inFlightCount < wanted, let member = waiting.popFirst() {
          inFlightCount += 1
          ask(member.id, for: blob, in: &group)
        }
        guard inFlightCount > 0, !Task.isCancelled, let event = await group.next() else {
          return (nil, mayPass)
        }
        switch event {
        case .dropped: break
        case .late: wanted = min(wanted + 1, Self.concurrencyMax)
        case .answered(let node, let result):
          inFlightCount -= 1
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

  private func ask(_ node: NodeID, for blob: BlobID, in group: inout TaskGroup<Event>) {
    let services = services
    let now = services.clock.now
    let hedge = now + services.hedgeDelay(for: node)
    group.addTask {
      .answered(
        node,
        await services.peers.send(
          .metadata(blob), for: .metadata, to: node,
          deadline: now + services.configuration.requestDeadline, over: services.transport))
    }
    group.addTask { await services.sleeps(until: hedge) ? .late : .dropped }
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
