// NodeMessageCodec.swift
//
// The one mapping between node messages and bytes: method, path, query, headers, body. Pure, so
// that server, client and simulator share it and cannot disagree.
//
// Decoding takes bytes from anyone: it throws and never traps, and takes memory in proportion to
// the bytes at hand. Indices of pairs, slivers and symbols are below n once decoded, so that
// conversions between them cannot trap later. What needs the registry or the store (is it registered,
// does the sliver match its hash) is the node's to check.
//
// | method, path below /v1                              | request                      |
// |-----------------------------------------------------|------------------------------|
// | GET, PUT blobs/{blob}/metadata                      | metadata, storeMetadata      |
// | GET blobs/{blob}/metadata/status                    | metadataStatus               |
// | GET, PUT blobs/{blob}/slivers/{pair}/{axis}         | sliver, storeSliver          |
// | GET blobs/{blob}/slivers/{pair}/{axis}/status       | sliverStatus                 |
// | GET blobs/{blob}/confirmation/permanent             | confirmation                 |
// | GET blobs/{blob}/confirmation/deletable/{object}    | confirmation                 |
// | GET blobs/{blob}/recoverySymbols                    | recoverySymbols              |
// | GET blobs/{blob}/decodingSymbols                    | decodingSymbols              |
// | POST blobs/{blob}/inconsistencyProof/{axis}         | inconsistencyProof           |
// | GET blobs/{blob}/status                             | blobStatus                   |
// | GET health                                          | health                       |
// | POST batch/store                                    | storeBatch (ours)            |
// | POST batch/read, for repair with ?purpose=repair    | readBatch (ours)             |

package import RedStuff

package struct NodeMessageCodec: Sendable {
  package let parameters: EncodingParameters

  package init(parameters: EncodingParameters) {
    self.parameters = parameters
  }

  /// Indices and counts in `request` must be in range; there must be at least one symbol or target
  /// where symbols are asked for.
  package func encode(_ request: NodeRequest) -> WireRequest {
    wireRequest(for: request)
  }

  package func decode(_ wire: WireRequest) throws(NodeFailure) -> NodeRequest {
    guard wire.body.count <= NodeMessageLimits.bodyByteCountMax else {
      throw NodeFailure(
        .requestTooLarge,
        """
        the body has \(wire.body.count) bytes, at most \(NodeMessageLimits.bodyByteCountMax) are \
        taken: split the request
        """)
    }
    return try nodeRequest(from: wire)
  }

  package func encode(_ response: NodeResponse, to request: NodeRequest) -> WireResponse {
    wireResponse(for: response, to: request)
  }

  /// An answer that says no is a result (`.failure`); what throws is no answer.
  package func decode(
    _ wire: WireResponse, to request: NodeRequest
  ) throws(WireError) -> NodeResponse {
    guard wire.body.count <= NodeMessageLimits.bodyByteCountMax else {
      throw .bodyTooLarge(
        byteCount: wire.body.count, byteCountMax: NodeMessageLimits.bodyByteCountMax)
    }
    guard (200...299).contains(wire.status) else {
      return .failure(try ErrorEnvelope.failure(from: wire))
    }
    return try nodeResponse(from: wire, to: request)
  }
}
