// ClusterBlobService.swift
//
// The real system behind the HTTP calls: `BlobClient` for bytes, `Registry` for everything that is
// about registrations. What is left here is the translation of errors into status, reason and words.

package import BlobClient
package import Cluster
package import ControlPlane
import HTTPTypes
package import RedStuff

package struct ClusterBlobService: BlobService {
  private let client: BlobClient
  private let registry: Registry

  package init(client: BlobClient, registry: Registry) {
    self.client = client
    self.registry = registry
  }

  package var parameters: EncodingParameters { client.parameters }

  package func storeByteCount(forBlobOf byteCount: Int) -> Int {
    // Above the largest blob the answer does not matter: it is refused for its length.
    let count = try? BlobClient.storeByteCount(
      forBlobOf: UInt64(byteCount), parameters: parameters, configuration: client.configuration)
    return count.map { Int(clamping: $0) } ?? .max
  }

  package func store(
    _ blob: [UInt8], persistence: Persistence, epochs: UInt32?,
    onMemoryFreed: @escaping @Sendable () -> Void
  ) async throws(GatewayFailure) -> Registration {
    do {
      return try await client.store(
        blob, persistence: persistence, epochs: epochs, onFinished: onMemoryFreed
      ).registration
    } catch {
      throw GatewayFailure(error)
    }
  }

  package func quiltByteCount(_ headers: [QuiltPatchHeader]) throws(GatewayFailure) -> Int {
    do { return try client.quiltPlan(headers).shape.byteCount } catch {
      throw GatewayFailure(error)
    }
  }

  package func storeQuilt(
    _ patches: [QuiltPatch], persistence: Persistence, epochs: UInt32?,
    onMemoryFreed: @escaping @Sendable () -> Void
  ) async throws(GatewayFailure) -> StoredQuilt {
    do {
      let receipt = try await client.storeQuilt(
        patches, persistence: persistence, epochs: epochs, onFinished: onMemoryFreed)
      return StoredQuilt(registration: receipt.store.registration, index: receipt.index)
    } catch {
      throw GatewayFailure(error)
    }
  }

  package func quiltIndex(of quilt: BlobID) async throws(GatewayFailure) -> QuiltIndex {
    do { return try await client.quilt(quilt).index } catch { throw GatewayFailure(error) }
  }

  package func openPatch(
    _ name: QuiltPatchName, of quilt: BlobID, for use: BlobClient.PatchUse
  ) async throws(GatewayFailure) -> PatchSource {
    do {
      let patch = try await client.open(name, of: try await client.quilt(quilt), for: use)
      return PatchSource(header: patch.header) { sink in
        do throws(BlobClientError) { try await patch.read(into: sink) } catch {
          throw GatewayFailure(error)
        }
      }
    } catch {
      throw GatewayFailure(error)
    }
  }

  package func byteCount(of blob: BlobID) async throws(GatewayFailure) -> UInt64 {
    let status: BlobRegistryStatus
    do { status = try await registry.status(of: blob) } catch { throw GatewayFailure(error) }
    guard case .certified(let summary) = status else { throw GatewayFailure(.notFound(blob)) }
    return summary.byteCount
  }

  package func read(
    _ blob: BlobID, range: Range<UInt64>, check: ConsistencyCheck,
    into sink: @escaping @Sendable ([UInt8]) async throws -> Void
  ) async throws(GatewayFailure) {
    do { try await client.read(blob, range: range, check: check, into: sink) } catch {
      var failure = GatewayFailure(error)
      if case .tooLarge(let limit) = error {
        failure = GatewayFailure(
          .sizeExceeded, "BLOB_TOO_LARGE",
          "strict checks are made of blobs of at most \(limit) bytes: read it without",
          metadata: ["limit": "\(limit)"])
      }
      throw failure
    }
  }

  package func blob(of object: ObjectID) async throws(GatewayFailure) -> BlobID? {
    do {
      guard let (registration, _) = try await registry.registration(object), !registration.hasEnded
      else { return nil }
      return registration.blob
    } catch {
      throw GatewayFailure(error)
    }
  }

  package func delete(_ blob: BlobID, object: ObjectID?) async throws(GatewayFailure) -> Int {
    do { return try await registry.delete(blob: blob, object: object) } catch {
      throw GatewayFailure(error)
    }
  }

  package func extend(_ blob: BlobID, object: ObjectID?, byEpochs epochs: UInt32)
    async throws(GatewayFailure)
  {
    do { _ = try await registry.extend(blob: blob, object: object, byEpochs: epochs) } catch {
      throw GatewayFailure(error)
    }
  }

  package func registrations(of blob: BlobID) async throws(GatewayFailure) -> [Registration] {
    do { return try await registry.registrations(of: blob).map(\.0) } catch {
      throw GatewayFailure(error)
    }
  }

  package func registrations(after position: RegistrationPosition?, limit: Int)
    async throws(GatewayFailure) -> [Registration]
  {
    do {
      return try await registry.list(after: position.map { ($0.blob, $0.object) }, limit: limit)
    } catch {
      throw GatewayFailure(error)
    }
  }
}

extension GatewayFailure {
  /// What a client of the gateway hears of an error of the blob client.
  package init(_ error: BlobClientError) {
    switch error {
    case .registry(let error):
      self.init(error)
    case .notFound:
      self.init(.notFound, "BLOB_NOT_FOUND", "\(error)")
    case .unavailable:
      self.init(.unavailable, "BLOB_UNAVAILABLE", "\(error)", headers: Self.retrySoon)
    case .tooLarge(let limit):
      self.init(
        .sizeExceeded, "BLOB_TOO_LARGE", "\(error)", httpStatus: 413,
        metadata: ["limit": "\(limit)"])
    case .rangeOutsideBlob:
      self.init(.rangeNotSatisfiable, "INVALID_BYTE_RANGE", "\(error)")
    case .insufficientConfirmations(let shards, let required, _):
      self.init(
        .deadlineExceeded, "INSUFFICIENT_CONFIRMATIONS", "\(error)",
        metadata: ["shards": "\(shards)", "required": "\(required)"])
    case .inconsistent:
      self.init(.failedPrecondition, "INCONSISTENT_BLOB", "\(error)")
    case .malformedQuilt:
      self.init(.failedPrecondition, "NOT_A_QUILT", "\(error)")
    case .patchNotFound:
      self.init(.notFound, "QUILT_PATCH_NOT_FOUND", "\(error)")
    case .quiltRefused(.quiltTooLarge):
      self.init(.sizeExceeded, "BLOB_TOO_LARGE", "\(error)", httpStatus: 413)
    case .quiltRefused:
      self = .malformed("\(error)")
    case .forbidden:
      self.init(.unavailableForLegalReasons, "FORBIDDEN_BLOB", "\(error)")
    case .sinkFailed, .cancelled:
      // The one who would read this has gone.
      self.init(.unavailable, "CANCELLED", "\(error)")
    case .shuttingDown:
      self.init(.unavailable, "SHUTTING_DOWN", "\(error)", headers: Self.retrySoon)
    }
  }

  /// What a client of the gateway hears of an error of the registry.
  package init(_ error: RegistryError) {
    switch error {
    case .notFound(_, let object):
      self.init(
        .notFound, object == nil ? "BLOB_NOT_FOUND" : "REGISTRATION_NOT_FOUND", "\(error)")
    case .permanentUntil(let epoch, _, _):
      self.init(
        .permissionDenied, "BLOB_IS_PERMANENT", "\(error)", metadata: ["endEpoch": "\(epoch)"])
    case .notCertified, .abandoned, .ended, .certificateRefused, .withoutEnd:
      self.init(.failedPrecondition, "REGISTRATION_STATE", "\(error)")
    case .epochsNeeded, .tooManyEpochs, .noEpochDuration:
      self.init(.invalidArgument, "INVALID_BLOB_PERSISTENCE", "\(error)")
    case .tooManyOutstanding, .tooManyRegistrations:
      self.init(.resourceExhausted, "TOO_MANY_REGISTRATIONS", "\(error)", headers: Self.retrySoon)
    case .conflict, .unavailable:
      self.init(.unavailable, "REGISTRY_UNAVAILABLE", "\(error)", headers: Self.retrySoon)
    case .clusterMissing, .alreadyExists, .invalidCluster, .unknownNode, .compacted, .unreadable:
      self.init(.internalError, "INTERNAL_ERROR", "\(error)")
    }
  }

  private static let retrySoon: [HTTPField.Name: String] = [.retryAfter: "\(retryAfterSeconds)"]
}
