// BlobClientError.swift
//
// Why a store, a head or a read did not work out. `notFound` is a fact, told by the registry;
// `unavailable` is a state of the cluster that may pass. Mixing them up would make callers forget
// data that is there.

package import Cluster
package import ControlPlane
package import RedStuff

package enum BlobClientError: Error, Equatable, Sendable {
  /// No living registration of the blob is certified.
  case notFound(BlobID)
  /// The blob exists, but too little of it answers now: try again later, or see to the nodes named.
  case unavailable(reason: String)
  /// The blob is above the limit: split it.
  case tooLarge(limit: UInt64)
  case rangeOutsideBlob(size: UInt64)
  /// Nodes with only that many shards confirmed the upload; nothing is certified. Store it again.
  case insufficientConfirmations(shards: Int, required: Int, reasons: [NodeID: String])
  /// The blob was encoded badly by whoever stored it, and has no agreed content.
  case inconsistent(BlobID)
  /// The blob is no quilt, or its writer made it badly.
  case malformedQuilt(BlobID, QuiltFormatError)
  case patchNotFound(quilt: BlobID, patch: QuiltPatchName)
  /// The patches do not make a quilt.
  case quiltRefused(QuiltBuildError)
  /// Nodes refuse to serve or take the blob.
  case forbidden(BlobID)
  case registry(RegistryError)
  /// The receiver of the bytes failed; for HTTP, the far side went away.
  case sinkFailed(String)
  case cancelled
  /// The client no longer takes work.
  case shuttingDown
}

extension BlobClientError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notFound(let blob): "blob \(blob) does not exist, or is not certified"
    case .unavailable(let reason): "unavailable now: \(reason)"
    case .tooLarge(let limit): "the blob is above the limit of \(limit) bytes; split it"
    case .rangeOutsideBlob(let size): "the range is outside the blob of \(size) bytes"
    case .insufficientConfirmations(let shards, let required, let reasons):
      "nodes with \(shards) shards confirmed, \(required) are required"
        + reasons.sorted { $0.key < $1.key }.map { "; \($0.key): \($0.value)" }.joined()
    case .inconsistent(let blob): "blob \(blob) was encoded badly and has no agreed content"
    case .malformedQuilt(let blob, let error): "\(blob) does not read as a quilt: \(error)"
    case .patchNotFound(let quilt, let patch): "the quilt \(quilt) has no patch \(patch)"
    case .quiltRefused(let error): "\(error)"
    case .forbidden(let blob): "nodes refuse to handle blob \(blob)"
    case .registry(let error): "\(error)"
    case .sinkFailed(let reason): "the receiver failed: \(reason)"
    case .cancelled: "cancelled"
    case .shuttingDown: "shutting down; no new work is taken"
    }
  }
}
