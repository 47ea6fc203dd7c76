// UploadReader.swift
//
// The body of an upload into one array, within the memory that was admitted for it. Known length:
// all memory is admitted beforehand. Unknown length: the array starts small and doubles, and each
// doubling is admitted first.
//
// A body that ends early, stalls or takes too long is refused, and everything it held is freed: a
// prefix of a blob must never be stored as the blob.

import HummingbirdCore
import NIOCore
import RedStuff
import World

struct UploadReader: Sendable {
  /// The first array for a body of unknown length.
  static let firstByteCount = 1 << 20

  let service: any BlobService
  let clock: any Clock
  let limits: GatewayLimits

  /// What must be admitted before the first byte is read.
  func admissionByteCount(declared: UInt64?) -> Int {
    // The caller has compared a declared length with the largest blob, so it fits.
    memoryByteCount(capacity: declared.map { Int(clamping: $0) } ?? firstCapacity)
  }

  private var byteCountMax: UInt64 { service.parameters.blobByteCountMax }
  private var firstCapacity: Int { Int(min(byteCountMax, UInt64(Self.firstByteCount))) }

  /// Storing a blob that fills the array. While it doubles, the old array, half as large, is there
  /// too, but then nothing has been encoded yet, which always takes more.
  private func memoryByteCount(capacity: Int) -> Int {
    service.storeByteCount(forBlobOf: capacity)
  }

  func read(_ body: RequestBody, declared: UInt64?, hold: AdmissionHold) async throws -> [UInt8] {
    try await UploadTiming(clock: clock, limits: limits).run { watch in
      try await collect(body, declared: declared, hold: hold, watch: watch)
    }
  }

  private func collect(
    _ body: RequestBody, declared: UInt64?, hold: AdmissionHold, watch: IdleWatch
  ) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    var capacity = declared.map { Int(clamping: $0) } ?? firstCapacity
    bytes.reserveCapacity(capacity)
    watch.clientIsDue()
    do {
      for try await part in body {
        watch.clientIsDone()
        let needed = bytes.count + part.readableBytes
        guard needed <= byteCountMax else {
          throw GatewayFailure.blobTooLarge(
            byteCount: UInt64(needed), byteCountMax: byteCountMax)
        }
        if needed > capacity {
          let next = Int(min(UInt64(max(needed, 2 * capacity)), byteCountMax))
          try await hold.grow(
            by: memoryByteCount(capacity: next) - memoryByteCount(capacity: capacity))
          capacity = next
          bytes.reserveCapacity(capacity)
        }
        bytes.append(contentsOf: part.readableBytesView)
        watch.clientIsDue()
      }
    } catch let failure as GatewayFailure {
      throw failure
    } catch let refusal as Admission.Refusal {
      throw refusal
    } catch {
      throw GatewayFailure.incompleteUpload("the upload broke off after \(bytes.count) bytes")
    }
    try Task.checkCancellation()
    if let declared, UInt64(bytes.count) != declared {
      throw GatewayFailure.incompleteUpload(
        "the upload ended after \(bytes.count) of the \(declared) bytes of its Content-Length")
    }
    hold.shrink(to: memoryByteCount(capacity: bytes.count))
    return bytes
  }
}
