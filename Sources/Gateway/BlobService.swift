// BlobService.swift
//
// What the HTTP calls need of the system behind them. Handlers speak this protocol only, so that
// every answer of theirs can be provoked in a test; `ClusterBlobService` is the real one.
//
// Errors arrive as `GatewayFailure`: whoever knows the cause chooses the words.

package import BlobClient
package import Cluster
package import RedStuff

package protocol BlobService: Sendable {
  var parameters: EncodingParameters { get }

  /// Memory that a store of a blob takes at its peak, the blob included.
  func storeByteCount(forBlobOf byteCount: Int) -> Int

  /// Registers and stores the blob; returns once it is certified.
  ///
  /// - Parameter onMemoryFreed: called once, when the memory of the upload is free again: slow nodes
  ///   are still sent their slivers after this returned.
  func store(
    _ blob: [UInt8], persistence: Persistence, epochs: UInt32?,
    onMemoryFreed: @escaping @Sendable () -> Void
  ) async throws(GatewayFailure) -> Registration

  /// The length that a quilt of such patches has.
  func quiltByteCount(_ headers: [QuiltPatchHeader]) throws(GatewayFailure) -> Int

  /// As `store`, for a quilt of these patches.
  func storeQuilt(
    _ patches: [QuiltPatch], persistence: Persistence, epochs: UInt32?,
    onMemoryFreed: @escaping @Sendable () -> Void
  ) async throws(GatewayFailure) -> StoredQuilt

  func quiltIndex(of quilt: BlobID) async throws(GatewayFailure) -> QuiltIndex

  /// A patch of which the start was read.
  func openPatch(
    _ name: QuiltPatchName, of quilt: BlobID, for use: BlobClient.PatchUse
  ) async throws(GatewayFailure) -> PatchSource

  /// The length of a certified blob, without reading it.
  func byteCount(of blob: BlobID) async throws(GatewayFailure) -> UInt64

  /// Sends the bytes of `range` into `sink`, in order, one call at a time; each call of `sink` may
  /// take long. What `sink` throws ends the read.
  func read(
    _ blob: BlobID, range: Range<UInt64>, check: ConsistencyCheck,
    into sink: @escaping @Sendable ([UInt8]) async throws -> Void
  ) async throws(GatewayFailure)

  /// The blob of a registration.
  func blob(of object: ObjectID) async throws(GatewayFailure) -> BlobID?

  /// Ends a registration, or all deletable ones; returns how many it ended.
  func delete(_ blob: BlobID, object: ObjectID?) async throws(GatewayFailure) -> Int

  func extend(_ blob: BlobID, object: ObjectID?, byEpochs epochs: UInt32)
    async throws(GatewayFailure)

  /// All registrations of a blob that the registry still knows, also ended ones.
  func registrations(of blob: BlobID) async throws(GatewayFailure) -> [Registration]

  /// All registrations in the order of blob and object.
  func registrations(after: RegistrationPosition?, limit: Int)
    async throws(GatewayFailure) -> [Registration]
}

package struct StoredQuilt: Sendable {
  package var registration: Registration
  package var index: QuiltIndex

  package init(registration: Registration, index: QuiltIndex) {
    self.registration = registration
    self.index = index
  }
}

/// A patch whose name, tags and length are known, and whose data can be had.
package struct PatchSource: Sendable {
  package typealias Sink = @Sendable ([UInt8]) async throws -> Void

  package var header: QuiltPatchHeader
  /// Sends the data into the sink, in order, one call at a time; what the sink throws ends it.
  package var read: @Sendable (@escaping Sink) async throws -> Void

  package init(
    header: QuiltPatchHeader, read: @escaping @Sendable (@escaping Sink) async throws -> Void
  ) {
    self.header = header
    self.read = read
  }
}

/// A place in the list of registrations; text form `<blob ID>.<object ID>`.
package struct RegistrationPosition: Hashable, Sendable {
  package var blob: BlobID
  package var object: ObjectID

  package init(blob: BlobID, object: ObjectID) {
    self.blob = blob
    self.object = object
  }

  init?(text: String) {
    let sides = text.split(separator: ".", omittingEmptySubsequences: false)
    guard sides.count == 2, let blob = BlobID(text: sides[0]), let object = ObjectID(text: sides[1])
    else { return nil }
    self.init(blob: blob, object: object)
  }

  var text: String { "\(blob).\(object)" }
}
