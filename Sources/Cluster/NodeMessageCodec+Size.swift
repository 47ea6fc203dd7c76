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
    guard case .readBatch(let outcomes) = response else {
      return encode(response, to: request).wireByteCount
    }
    var writer = BCSWriter.counting
    write(outcomes, to: &writer)
    return encode(.readBatch([]), to: request).wireByteCount(bodyByteCount: writer.byteCount)
  }
}
