// QuiltStoreCall.swift
//
// PUT /v1/quilts: a form whose fields become the patches of one quilt, which is stored as a blob.
//
// Memory is admitted as for a blob. How long the quilt will be, only its last part decides, since each
// patch takes whole columns: what the parts need is admitted as they come, and the rest before the
// quilt is built.

import Cluster
import HTTPTypes
import HummingbirdCore
import NIOCore
import RedStuff
import World

extension Gateway {
  @concurrent
  func storeQuilt(_ call: Call, writer: borrowing ResponseWriter) async throws -> Answer {
    let options = try StoreOptions(call, knowing: ["quilt_version"])
    let query = try QueryFields(call.query, known: nil)
    if let version = query.text("quilt_version"), !["v1", "V1", "1"].contains(version) {
      throw GatewayFailure.malformed("the quilt version is v1, not `\(version)`")
    }
    guard let type = call.headers[.contentType], let boundary = MultipartBoundary(contentType: type)
    else {
      throw GatewayFailure.malformed(
        "a quilt is sent as a form: Content-Type: multipart/form-data; boundary=...")
    }
    let reader = QuiltUploadReader(service: service, clock: clock, limits: configuration.limits)
    let declared = call.declaredByteCount
    if let declared, declared > reader.bodyByteCountMax {
      throw GatewayFailure.blobTooLarge(
        byteCount: declared, byteCountMax: service.parameters.blobByteCountMax)
    }
    try await inviteBody(of: call, writer: writer)
    let hold = try await uploads.hold(reader.admissionByteCount(declared: declared))
    let patches: [QuiltPatch]
    do {
      patches = try await reader.read(call.body, boundary: boundary, declared: declared, hold: hold)
    } catch {
      hold.release()
      throw error
    }
    metrics.received(byteCount: patches.reduce(0) { $0 + $1.data.count })
    let stored = try await service.storeQuilt(
      patches, persistence: options.persistence, epochs: options.epochs,
      onMemoryFreed: { hold.release() })
    return try Answer(
      json: QuiltStoreReply(stored, parameters: service.parameters, epochs: options.epochs))
  }
}

/// The answer to a store of a quilt, field for field as the reference's clients expect it.
struct QuiltStoreReply: Codable, Equatable {
  struct Patch: Codable, Equatable {
    var identifier: String
    var quiltPatchId: String
    /// Start and end column.
    var range: [Int]
  }

  var blobStoreResult: StoreReply
  /// In the order of their columns.
  var storedQuiltBlobs: [Patch]

  init(_ stored: StoredQuilt, parameters: EncodingParameters, epochs: UInt32?)
    throws(EncodingParametersError)
  {
    blobStoreResult = try StoreReply(
      stored.registration, parameters: parameters, epochs: epochs)
    storedQuiltBlobs = stored.index.entries.map { entry in
      Patch(
        identifier: entry.identifier.text,
        quiltPatchId: QuiltPatchID(quilt: stored.registration.blob, columns: entry.columns).text,
        range: [entry.columns.lowerBound, entry.columns.upperBound])
    }
  }
}

/// The body of a quilt's upload into patches, within the memory that was admitted.
struct QuiltUploadReader: Sendable {
  let service: any BlobService
  let clock: any Clock
  let limits: GatewayLimits

  /// The data of the patches fits into a blob; what else a form has is bounded part by part.
  var bodyByteCountMax: UInt64 {
    let partCountMax = service.parameters.secondarySourceCount
    let around = partCountMax * MultipartParser.headerByteCountMax
    return service.parameters.blobByteCountMax
      + UInt64(around + QuiltForm.metadataByteCountMax)
  }

  /// What must be admitted before the first byte is read.
  func admissionByteCount(declared: UInt64?) -> Int {
    memoryByteCount(capacity: capacity(declared: declared))
  }

  private func capacity(declared: UInt64?) -> Int {
    // The caller has compared a declared length with the largest body, so it fits.
    declared.map { Int(clamping: $0) } ?? UploadReader.firstByteCount
  }

  /// The parts, and storing a quilt of at least their length.
  private func memoryByteCount(capacity: Int) -> Int {
    let quiltByteCount = Int(min(UInt64(capacity), service.parameters.blobByteCountMax))
    return capacity + service.storeByteCount(forBlobOf: quiltByteCount)
  }

  func read(
    _ body: RequestBody, boundary: MultipartBoundary, declared: UInt64?, hold: AdmissionHold
  ) async throws -> [QuiltPatch] {
    try await UploadTiming(clock: clock, limits: limits).run { watch in
      try await collect(body, boundary: boundary, declared: declared, hold: hold, watch: watch)
    }
  }

  private func collect(
    _ body: RequestBody, boundary: MultipartBoundary, declared: UInt64?, hold: AdmissionHold,
    watch: IdleWatch
  ) async throws -> [QuiltPatch] {
    var parser = MultipartParser(boundary: boundary)
    var form = QuiltForm(parameters: service.parameters)
    var capacity = capacity(declared: declared)
    var received: UInt64 = 0
    watch.clientIsDue()
    do {
      for try await part in body {
        watch.clientIsDone()
        received += UInt64(part.readableBytes)
        guard received <= bodyByteCountMax else {
          throw GatewayFailure.blobTooLarge(
            byteCount: received, byteCountMax: service.parameters.blobByteCountMax)
        }
        let needed = form.byteCount + parser.heldByteCount + part.readableBytes
        if needed > capacity {
          let next = max(needed, 2 * capacity)
          try await hold.grow(
            by: memoryByteCount(capacity: next) - memoryByteCount(capacity: capacity))
          capacity = next
        }
        for event in try parser.append(part.readableBytesView) { try form.take(event) }
        watch.clientIsDue()
      }
    } catch let failure as GatewayFailure {
      throw failure
    } catch let refusal as Admission.Refusal {
      throw refusal
    } catch let error as MultipartError {
      throw GatewayFailure.malformed("the form cannot be read: \(error)")
    } catch {
      throw GatewayFailure.incompleteUpload("the upload broke off after \(received) bytes")
    }
    try Task.checkCancellation()
    if let declared, received != declared {
      throw GatewayFailure.incompleteUpload(
        "the upload ended after \(received) of the \(declared) bytes of its Content-Length")
    }
    do { try parser.finish() } catch {
      throw GatewayFailure.incompleteUpload("\(error)")
    }
    watch.clientIsDone()
    let partsByteCount = form.byteCount
    let patches = try form.finish()
    try await settle(
      hold, from: memoryByteCount(capacity: capacity), partsByteCount: partsByteCount, patches)
    return patches
  }

  /// Holds what this quilt needs, no more and no less.
  private func settle(
    _ hold: AdmissionHold, from held: Int, partsByteCount: Int, _ patches: [QuiltPatch]
  ) async throws {
    let quiltByteCount = try service.quiltByteCount(patches.map(\.header))
    let needed = partsByteCount + service.storeByteCount(forBlobOf: quiltByteCount)
    if needed > held { try await hold.grow(by: needed - held) } else { hold.shrink(to: needed) }
  }
}
