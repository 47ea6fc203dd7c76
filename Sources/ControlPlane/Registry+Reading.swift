// Registry+Reading.swift
//
// What others ask the registry: the registrations of a blob, its status, lists, and which blobs have
// changed since a revision. Whatever has expired is shown as ended, also before maintenance has
// written that down.

package import Cluster
package import RedStuff
import World

extension Registry {
  /// Living ones, and ended ones that have not been removed, by object; each with the revision of its
  /// last change.
  package func registrations(of blob: BlobID)
    async throws(RegistryError) -> [(Registration, Revision)]
  {
    let rules = rules(try await state(fresh: true))
    return try await allStored(of: blob).map { (rules.current($0.record), $0.version) }
  }

  /// The registration that `object` names, whichever blob it is of.
  package func registration(_ object: ObjectID)
    async throws(RegistryError) -> (Registration, Revision)?
  {
    let row = RegistryKeys.object(object)
    let found = try await range(KeyRange(lower: row, upper: successor(of: row)), limit: 1)
    guard let entry = found.entries.first else { return nil }
    guard let blob = BlobID(bytes: entry.value) else {
      throw .unreadable(key: "object \(object)", "its value is no blob ID")
    }
    let rules = rules(try await state(fresh: true))
    return try await stored(RegistrationKey(blob: blob, object: object))
      .map { (rules.current($0.record), $0.version) }
  }

  package func status(of blob: BlobID) async throws(RegistryError) -> BlobRegistryStatus {
    BlobRegistryStatus(try await registrations(of: blob).map(\.0))
  }

  /// Registrations in the order of blob and object, at most `limit`; ended ones among them.
  ///
  /// An empty answer means the end. `limit` is at least 1 and at most `Registry.pageCountMax`.
  package func list(after key: (BlobID, ObjectID)?, limit: Int)
    async throws(RegistryError) -> [Registration]
  {
    let rules = rules(try await state(fresh: true))
    var rest = RegistryKeys.registrations
    if let key {
      let last = RegistrationKey(blob: key.0, object: key.1)
      rest.lower = successor(of: RegistryKeys.registration(last))
    }
    var registrations: [Registration] = []
    for entry in try await range(rest, limit: Self.clampedLimit(limit)).entries {
      registrations.append(rules.current(try StoredRegistration(entry).record))
    }
    return registrations
  }

  /// Waits for changes, and says which blobs have registrations that changed after `revision`: each
  /// blob once, and `through`, from where to ask next.
  ///
  /// A blob may be told more than once over several calls, and what changed is not told: whoever
  /// follows reads its registrations. Cancelled, it answers with no blobs.
  /// - Throws: `compacted`: read `allBlobs`, and follow from the revision of its first page.
  package func blobEvents(after revision: Revision, limit: Int)
    async throws(RegistryError) -> (blobs: [BlobID], through: Revision)
  {
    let changes: ControlChanges
    do {
      changes = try await store.changes(
        after: revision, prefix: RegistryKeys.registrationPrefix, limit: Self.clampedLimit(limit))
    } catch {
      throw RegistryError(error)
    }
    var seen: Set<BlobID> = []
    var blobs: [BlobID] = []
    for change in changes.changes {
      guard let key = RegistrationKey(endOf: change.key) else { continue }
      if seen.insert(key.blob).inserted { blobs.append(key.blob) }
    }
    return (blobs, changes.through)
  }

  /// Blobs that have registrations, living or ended, ascending, at most `limit`; an empty answer
  /// means the end.
  ///
  /// - Returns: also the revision at which this page was read. Whoever reads all pages and then
  ///   follows `blobEvents` from the revision of the *first* page has missed nothing.
  package func allBlobs(after blob: BlobID?, limit: Int)
    async throws(RegistryError) -> ([BlobID], Revision)
  {
    let limit = Self.clampedLimit(limit)
    var blobs: [BlobID] = []
    var firstRevision: Revision?
    var rest = RegistryKeys.registrations(after: blob)
    while true {
      let page = try await range(rest, limit: limit)
      firstRevision = firstRevision ?? page.revision
      for entry in page.entries where blobs.count < limit {
        guard let key = RegistrationKey(endOf: entry.key), key.blob != blobs.last else { continue }
        blobs.append(key.blob)
      }
      guard page.hasMore, blobs.count < limit, let last = blobs.last else {
        return (blobs, firstRevision ?? page.revision)
      }
      // Skips the other registrations of the last blob, however many they are.
      rest = RegistryKeys.registrations(after: last)
    }
  }

  private static func clampedLimit(_ limit: Int) -> Int { min(max(limit, 1), pageCountMax) }
}
