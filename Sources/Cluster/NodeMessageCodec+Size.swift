// NodeMessageCodec+Size.swift
//
// How many bytes a message takes on the wire, head and body, without making them: messages between
// nodes of one process are counted like those that cross a network.

internal import RedStuff

extension NodeMessageCodec {
  package func wireByteCount(of request: NodeRequest) -> Int {
    guard case .storeBatch(let entries) = request else { return encode(request).wireByteCount }
    var writer = BCSWriter.counting
    write(entries, to: &writer)
    return encode(.storeBatch([])).wireByteCount(bodyByteCount: writer.byteCount)
  }

  package func wireByteCount(of response: NodeResponse, to request: NodeRequest) -> Int {
    var writer = BCSWriter.counting
    switch response {
    case .readBatch(let outcomes, let load): write(outcomes, load: load, to: &writer)
    case .metadata(let blob, let metadata):
      writer.write(BlobMetadataWithID(blobID: blob, metadata: metadata))
    case .sliver(let sliver): sliver.encodeData(to: &writer)
    default: return encode(response, to: request).wireByteCount
    }
    return WireResponse.binary([]).wireByteCount(bodyByteCount: writer.byteCount)
  }
}
