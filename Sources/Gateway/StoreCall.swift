// StoreCall.swift
//
// PUT /v1/blobs. Everything that can be refused is refused before the body is read; the body is read
// only once there is memory to encode it. Every accepted upload makes its own registration, so the
// answer is always `newlyCreated`; object IDs stand where the chain's IDs stood, and nothing costs.

import Cluster
import HTTPTypes
import HummingbirdCore
import RedStuff

/// What the query of a store asks for.
struct StoreOptions: Equatable {
  static let known: Set<String> = [
    "deletable", "encoding_type", "epochs", "force", "permanent", "reuse_resources",
    "send_object_to", "share",
  ]

  var persistence: Persistence
  var epochs: UInt32?

  /// - Parameter more: names that the call knows besides those of every store.
  init(_ call: Call, knowing more: Set<String> = []) throws(GatewayFailure) {
    let query = try QueryFields(call.query, known: Self.known.union(more))
    epochs = try query.number("epochs")
    guard epochs != 0 else { throw .malformed("`epochs` is at least 1") }
    let isPermanent = try query.flag("permanent")
    if try query.flag("deletable"), isPermanent {
      throw GatewayFailure(
        .invalidArgument, "INVALID_BLOB_PERSISTENCE",
        "a blob is deletable or permanent, not both: give one of them")
    }
    persistence = isPermanent ? .permanent : .deletable
    if let encoding = query.text("encoding_type"), encoding != "RS2" {
      throw .malformed("the encoding type is RS2, not `\(encoding)`")
    }
    let isShared = try query.flag("share")
    if isShared || query.text("send_object_to") != nil {
      throw .malformed(
        """
        `send_object_to` and `share` speak of objects on a blockchain and this system has none: \
        leave them out
        """)
    }
    // Accepted without effect: every store makes a registration of its own anyway.
    _ = try query.flag("force")
    _ = try query.flag("reuse_resources")
  }
}

extension Gateway {
  @concurrent
  func storeBlob(_ call: Call, writer: borrowing ResponseWriter) async throws -> Answer {
    let options = try StoreOptions(call)
    let byteCountMax = service.parameters.blobByteCountMax
    let declared = call.declaredByteCount
    if let declared, declared > byteCountMax {
      throw GatewayFailure.blobTooLarge(byteCount: declared, byteCountMax: byteCountMax)
    }
    let reader = UploadReader(service: service, clock: clock, limits: configuration.limits)
    try await inviteBody(of: call, writer: writer)
    let hold = try await uploads.hold(reader.admissionByteCount(declared: declared))
    let blob: [UInt8]
    do {
      blob = try await reader.read(call.body, declared: declared, hold: hold)
    } catch {
      hold.release()
      throw error
    }
    metrics.received(byteCount: blob.count)
    let registration = try await service.store(
      blob, persistence: options.persistence, epochs: options.epochs,
      onMemoryFreed: { hold.release() })
    return try Answer(
      json: StoreReply(registration, parameters: service.parameters, epochs: options.epochs))
  }
}

extension Gateway {
  /// To be said before the wait for memory: what the client then sends waits in the socket.
  @concurrent
  func inviteBody(of call: Call, writer: borrowing ResponseWriter) async throws {
    if call.headers[.expect]?.lowercased() == "100-continue" {
      try await writer.writeInformationalHead(HTTPResponse(status: .continue))
    }
  }
}

/// The answer to a store, field for field as the reference's clients expect it.
struct StoreReply: Codable, Equatable {
  struct BlobObject: Codable, Equatable {
    var id: String
    var registeredEpoch: Epoch
    var blobId: String
    var size: UInt64
    var encodingType = "RS2"
    var certifiedEpoch: Epoch?
    var storage: Storage
    var deletable: Bool
  }

  struct Storage: Codable, Equatable {
    var id: String
    var startEpoch: Epoch
    var endEpoch: Epoch
    var storageSize: UInt64
  }

  struct ResourceOperation: Codable, Equatable {
    struct RegisterFromScratch: Codable, Equatable {
      var encodedLength: UInt64
      var epochsAhead: Epoch
    }
    var registerFromScratch: RegisterFromScratch
  }

  struct NewlyCreated: Codable, Equatable {
    var blobObject: BlobObject
    var resourceOperation: ResourceOperation
    var cost = 0
  }

  var newlyCreated: NewlyCreated

  init(_ registration: Registration, parameters: EncodingParameters, epochs: UInt32?)
    throws(EncodingParametersError)
  {
    let encoded = try parameters.encodedByteCount(forBlobOf: registration.byteCount)
    var certifiedEpoch: Epoch?
    if case .certified(let epoch, _) = registration.state { certifiedEpoch = epoch }
    newlyCreated = NewlyCreated(
      blobObject: BlobObject(
        id: registration.object.description, registeredEpoch: registration.registeredEpoch,
        blobId: registration.blob.text, size: registration.byteCount,
        certifiedEpoch: certifiedEpoch,
        storage: Storage(
          id: registration.object.description, startEpoch: registration.registeredEpoch,
          endEpoch: registration.endEpoch, storageSize: encoded),
        deletable: registration.persistence == .deletable),
      resourceOperation: ResourceOperation(
        registerFromScratch: .init(
          encodedLength: encoded,
          epochsAhead: epochs ?? registration.endEpoch
            - min(
              registration.registeredEpoch, registration.endEpoch))))
  }
}
