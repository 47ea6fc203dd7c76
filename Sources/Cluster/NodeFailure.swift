// NodeFailure.swift
//
// Why a node said no. `reason` is the stable key that clients switch on; the rest is for people.

package struct NodeFailure: Error, Hashable, Sendable {
  package enum Reason: String, Hashable, Sendable, CaseIterable {
    case metadataNotFound = "METADATA_NOT_FOUND"
    case sliverNotFound = "SLIVER_NOT_FOUND"
    case forbiddenBlob = "FORBIDDEN_BLOB"
    case notRegistered = "NOT_REGISTERED"
    case cacheSaturated = "CACHE_SATURATED"
    case invalidMetadata = "INVALID_METADATA"
    case invalidBlob = "INVALID_BLOB"
    case invalidSliver = "INVALID_SLIVER"
    case sliverIndexMismatch = "SLIVER_INDEX_MISMATCH"
    case indexOutOfRange = "INDEX_OUT_OF_RANGE"
    case shardNotAssigned = "SHARD_NOT_ASSIGNED"
    case unsupportedEncodingType = "UNSUPPORTED_ENCODING_TYPE"
    case sliverTooLarge = "SLIVER_TOO_LARGE"
    case missingSlivers = "MISSING_SLIVERS"
    case noSymbolsSpecified = "NO_SYMBOLS_SPECIFIED"
    case invalidFilter = "INVALID_FILTER"
    case symbolNotPresentAtShards = "SYMBOL_NOT_PRESENT_AT_SHARDS"
    case noTargetSliversSpecified = "NO_TARGET_SLIVERS_SPECIFIED"
    case recoverySymbolOutOfRange = "RECOVERY_SYMBOL_OUT_OF_RANGE"
    case invalidProof = "INVALID_PROOF"
    case invalidContentType = "INVALID_CONTENT_TYPE"
    /// Ours: no such path or method, or a body that does not decode.
    case malformedRequest = "MALFORMED_REQUEST"
    /// Ours: too large a body or too many items.
    case requestTooLarge = "REQUEST_TOO_LARGE"
    /// Ours: the drive is full; reads go on.
    case storageFull = "STORAGE_FULL"
    /// Busy, shutting down, drive gone, or behind the registry: try later or elsewhere.
    case unavailable = "UNAVAILABLE"
    case internalError = "INTERNAL_ERROR"
  }

  package var reason: Reason
  package var message: String

  package init(_ reason: Reason, _ message: String) {
    self.reason = reason
    self.message = message
  }

  /// The HTTP status of the answer.
  package var httpStatus: Int {
    switch reason {
    case .metadataNotFound, .sliverNotFound: 404
    case .forbiddenBlob: 451
    case .requestTooLarge: 413
    case .storageFull: 507
    case .unavailable: 503
    case .internalError: 500
    default: 400
    }
  }
}
