// StorageNode+Store.swift
//
// Taking slivers: find the registration, check every sliver against the metadata, then write what is
// new with one sync per drive, and confirm. A batch and a single sliver go the same way.
//
// Nothing is held while slivers are checked. The lanes of the blobs are taken for the last look at
// the registry, the write and the signature.

import Cluster
import CoreMetrics
import RedStuff
import SliverStore
import World

/// Slivers of one blob for one registration.
private struct StoreItem: Sendable {
  var blob: BlobID
  var wish: RegistrationWish
  var metadata: BlobMetadata?
  var slivers: [Sliver]
}

/// A store item whose slivers have been checked.
private struct CheckedItem: Sendable {
  var registration: Registration
  /// Those that the node does not have yet.
  var newSlivers: [VerifiedSliver]
  /// If the node does not have it yet.
  var newMetadata: VerifiedBlobMetadata?
}

extension StorageNode {
  /// One outcome per entry, in order.
  func store(_ entries: [StoreEntry], deadline: Instant) async throws -> [StoreOutcome] {
    guard entries.count <= NodeMessageLimits.batchItemCountMax else {
      throw NodeFailure(
        .requestTooLarge,
        "\(entries.count) entries, at most \(NodeMessageLimits.batchItemCountMax) are taken")
    }
    let items = entries.map {
      StoreItem(
        blob: $0.blob, wish: .object($0.object), metadata: $0.metadata, slivers: $0.slivers)
    }
    return try await store(items, deadline: deadline) { [self] stored in
      let wanted = zip(entries, stored).compactMap { entry, result in
        entry.wantsConfirmation && (try? result.get()) != nil ? entry.blob : nil
      }
      var isWhole = try await checkWhole(Set(wanted).sorted())
      // Who only asks for a confirmation would not send again what rotted: look at the bytes.
      for entry in entries where entry.slivers.isEmpty {
        guard case .success? = isWhole[entry.blob] else { continue }
        let badCount = try await indicesOfNew(places(of: entry.blob)).count
        if badCount > 0 {
          sometimes(.rottenSliversAtConfirmation)
          isWhole[entry.blob] = .failure(
            NodeFailure(
              .missingSlivers, "\(id) cannot read \(badCount) slivers of blob \(entry.blob)"))
        }
      }
      return zip(entries, stored).map { entry, result in
        switch result {
        case .failure(let failure): .refused(failure)
        case .success where !entry.wantsConfirmation: .stored
        case .success(let item):
          switch isWhole[entry.blob] {
          case .success?: .confirmed(confirm(item.registration))
          case .failure(let failure)?: .refused(failure)
          case nil: .refused(notAMember)
          }
        }
      }
    }
  }

  /// The reference's call: any living registration will do.
  ///
  /// - Returns: whether the sliver is new here.
  func store(
    _ sliver: Sliver, of blob: BlobID, at pair: SliverPairIndex, deadline: Instant
  ) async throws -> Bool {
    let place = try place(blob, pair, sliver.axis)
    guard sliver.index == place.index(shardCount: parameters.shardCount) else {
      throw NodeFailure(
        .sliverIndexMismatch,
        "\(pair) holds \(sliver.axis) \(place.index(shardCount: parameters.shardCount)), "
          + "not \(sliver.index)")
    }
    let item = StoreItem(blob: blob, wish: .any, metadata: nil, slivers: [sliver])
    return try await store([item], deadline: deadline) { stored in
      guard let result = stored.first else { return false }
      return try !result.get().newSlivers.isEmpty
    }
  }

  /// Checks and stores the items; `finish` is called with the lanes of those that were stored held.
  private func store<Answer>(
    _ items: [StoreItem], deadline: Instant,
    _ finish: ([Result<CheckedItem, NodeFailure>]) async throws -> Answer
  ) async throws -> Answer {
    let deletesSeen = lanes.deleteCount
    let catchUpDeadline = catchUpDeadline(deadline)
    var checked = try await fanOut(
      count: items.count, width: configuration.lookUpCountMax
    ) { [self] index -> Result<CheckedItem, NodeFailure> in
      do {
        return .success(try await check(items[index], catchUpDeadline: catchUpDeadline))
      } catch let failure as NodeFailure {
        return .failure(failure)
      }
    }
    let blobs = zip(items, checked).compactMap { (try? $1.get()) == nil ? nil : $0.blob }
    return try await lanes.withSharedLanes(of: Set(blobs)) {
      if lanes.deleteCount != deletesSeen, !PlantedBug.deleteBetweenIgnored.isPlanted {
        try await recheckRegistrations(of: items, &checked)
      }
      try await write(&checked)
      return try await finish(checked)
    }
  }

  private func check(
    _ item: StoreItem, catchUpDeadline: Instant
  ) async throws -> CheckedItem {
    var places: [SliverPlace] = []
    for sliver in item.slivers { places.append(try place(of: sliver, item.blob)) }
    let registration = try await registration(
      item.wish, of: item.blob, catchUpDeadline: catchUpDeadline)
    let (metadata, isNew) = try await metadata(for: item)
    try check(metadata, of: item, against: registration)
    let newIndices = try await indicesOfNew(places)
    try await verify(newIndices.map { item.slivers[$0] }, against: metadata)
    let metadataBytes = newIndices.isEmpty ? [] : metadata.metadata.bcsBytes
    return CheckedItem(
      registration: registration,
      newSlivers: newIndices.map { index in
        VerifiedSliver(
          shard: places[index].shard, key: places[index].key,
          symbolByteCount: item.slivers[index].symbolByteCount,
          bytes: item.slivers[index].bytes, metadataBytes: metadataBytes)
      }, newMetadata: isNew ? metadata : nil)
  }

  /// A registration that names another length must not be certified: whoever is told that length would
  /// read too little. Without a name any registration will do, and its length says nothing.
  private func check(
    _ metadata: VerifiedBlobMetadata, of item: StoreItem, against registration: Registration
  ) throws(NodeFailure) {
    guard case .object(let object) = item.wish,
      registration.byteCount != metadata.blobByteCount
    else { return }
    throw NodeFailure(
      .invalidMetadata,
      "registration \(object) is for \(registration.byteCount) bytes, blob \(item.blob) has "
        + "\(metadata.blobByteCount)")
  }

  /// Which of the slivers are not here yet, each once. Those that the index knows are read: a sliver
  /// that rotted unnoticed must be written again and not confirmed.
  private func indicesOfNew(_ places: [SliverPlace]) async throws -> [Int] {
    let isKnown = await drives.contains(places.map(\.key))
    var seen: Set<SliverKey> = []
    var indices: [Int] = []
    for (index, place) in places.enumerated() where seen.insert(place.key).inserted {
      try Task.checkCancellation()
      if isKnown[index], case .value = await drives.sliver(place.key, in: place.shard) { continue }
      indices.append(index)
    }
    return indices
  }

  /// The node's own, else what came with the slivers.
  private func metadata(
    for item: StoreItem
  ) async throws -> (VerifiedBlobMetadata, isNew: Bool) {
    if let known = try await metadata(of: item.blob) { return (known, false) }
    guard let claimed = item.metadata else {
      throw NodeFailure(
        .metadataNotFound, "\(id) has no metadata of blob \(item.blob); send it first")
    }
    return (try await verify(claimed, of: item.blob), true)
  }

  /// Throws unless every sliver is what the metadata says.
  private func verify(_ slivers: [Sliver], against metadata: VerifiedBlobMetadata) async throws {
    if PlantedBug.uploadedSliversUnchecked.isPlanted { return }
    // An even share for each thread: slivers of one job share transforms and hash lanes.
    let jobCount = min(slivers.count, max(compute.width, 1))
    let compute = compute
    let failures = try await fanOut(count: jobCount, width: jobCount) { job in
      let share = slivers[job * slivers.count / jobCount..<(job + 1) * slivers.count / jobCount]
      return await compute.run { Sliver.failures(Array(share), against: metadata) }
    }
    let firstFailure = failures.joined().compactMap(\.self).first
    guard let firstFailure else { return }
    sometimes(.uploadedSliverRefused)
    metrics.refusedSlivers.increment()
    throw NodeFailure(
      .invalidSliver, "not a sliver of blob \(metadata.blobID): \(firstFailure)")
  }

  /// A blob was deleted since the registrations were looked up: maybe one of these, and with it what
  /// was found to be here. That cannot be if the registration that was found then still lives.
  private func recheckRegistrations(
    of items: [StoreItem], _ checked: inout [Result<CheckedItem, NodeFailure>]
  ) async throws {
    sometimes(.deleteCameBetween)
    let old = checked
    checked = try await fanOut(
      count: items.count, width: configuration.lookUpCountMax
    ) { [self] index in
      guard case .success(let item) = old[index] else { return old[index] }
      let wish = RegistrationWish.object(item.registration.object)
      do {
        if case .living = try await find(wish, of: items[index].blob) { return old[index] }
        throw items[index].wish == wish
          ? Self.notRegistered(items[index].blob, wish)
          : NodeFailure(.unavailable, "blob \(items[index].blob) was just deleted; send it again")
      } catch let failure as NodeFailure {
        return .failure(failure)
      }
    }
  }

  /// Writes what is new in all items that passed; those whose slivers no drive took fail.
  private func write(_ checked: inout [Result<CheckedItem, NodeFailure>]) async throws {
    var slivers: [VerifiedSliver] = []
    var positions: [SliverKey: Int] = [:]
    for case .success(let item) in checked {
      for sliver in item.newSlivers where positions[sliver.key] == nil {
        positions[sliver.key] = slivers.count
        slivers.append(sliver)
      }
    }
    let failures = try await drives.put(slivers)
    for (sliver, failure) in zip(slivers, failures) where failure == nil {
      metrics.storedSlivers.increment()
      metrics.storedBytes.increment(by: sliver.bytes.count)
    }
    await noteFound(zip(slivers, failures).filter { $0.1 == nil }.map(\.0.key))
    for (index, result) in checked.enumerated() {
      guard case .success(let item) = result else { continue }
      var failure = item.newSlivers.lazy.compactMap { positions[$0.key].flatMap { failures[$0] } }
        .first
      if failure == nil { failure = await writeMetadata(of: item) }
      if let failure { checked[index] = .failure(failure) }
    }
  }

  /// Metadata that came without new slivers still has to be written; nil or why it was not.
  private func writeMetadata(of item: CheckedItem) async -> NodeFailure? {
    guard let metadata = item.newMetadata else { return nil }
    if item.newSlivers.isEmpty, let failure = await write(metadata) { return failure }
    remember(metadata)
    return nil
  }
}
