// QuiltReadCalls.swift
//
// GET and HEAD of the patches of a quilt, and the list of them. Content never changes, so the quilt ID
// is the ETag of each. HEAD and 304 read no data, but the index and the start of the patch, which says
// how long it is.

import BlobClient
import Cluster
import HTTPTypes
import RedStuff

extension Gateway {
  /// A patch by its ID.
  func readPatch(_ call: Call, id text: String) async throws -> Answer {
    let id: QuiltPatchID
    do { id = try QuiltPatchID(text: text) } catch {
      throw GatewayFailure(
        .invalidArgument, "INVALID_ID_FORMAT", "`\(text.prefix(80))`: \(error)")
    }
    return try await readPatch(call, .columns(id.columns), of: id.quilt)
  }

  /// A patch by its quilt and its identifier.
  func readPatch(_ call: Call, quilt: BlobID, identifier text: String) async throws -> Answer {
    let identifier: QuiltIdentifier
    do { identifier = try QuiltIdentifier(text) } catch {
      throw GatewayFailure(
        .notFound, "QUILT_PATCH_NOT_FOUND",
        "no patch is called `\(text.prefix(80))`: \(error)")
    }
    return try await readPatch(call, .identifier(identifier), of: quilt)
  }

  private func readPatch(
    _ call: Call, _ name: QuiltPatchName, of quilt: BlobID
  ) async throws -> Answer {
    let turn = try await reads.hold(1)
    let tag = "\"\(quilt.text)\""
    let unchanged = notModified(call, tag: tag)
    let wantsData = call.method == .get && unchanged == nil
    let patch = try await service.openPatch(name, of: quilt, for: wantsData ? .data : .header)
    if let unchanged { return unchanged }
    var headers = readHeaders(call, tag: tag)
    PatchHeaders(sendsAllTags: configuration.sendsAllPatchTags).add(patch.header, to: &headers)
    let byteCount = UInt64(patch.header.dataByteCount)
    guard wantsData, byteCount > 0 else {
      return Answer(status: .ok, headers: headers, body: .none(byteCount: byteCount))
    }
    return Answer(
      status: .ok, headers: headers,
      body: .stream(byteCount: byteCount) { [metrics] queue in
        defer { turn.release() }
        try await patch.read { bytes in
          try await queue.send(bytes)
          metrics.sent(byteCount: bytes.count)
        }
      })
  }

  /// `[{"identifier", "patch_id", "tags"}]` in the order of the columns.
  func listPatches(of quilt: BlobID) async throws -> Answer {
    let turn = try await reads.hold(1)
    defer { turn.release() }
    let index = try await service.quiltIndex(of: quilt)
    let patches = index.entries.map { entry -> JSONValue in
      [
        "identifier": .string(entry.identifier.text),
        "patch_id": .string(QuiltPatchID(quilt: quilt, columns: entry.columns).text),
        "tags": .object(entry.tags.tags.map { JSONMember($0.name, .string($0.value)) }),
      ]
    }
    return Answer(json: .array(patches))
  }
}

/// What an answer says of a patch: its identifier, and tags that are headers. Tags are the words of
/// whoever stored the quilt, so they never replace a header, and never speak of the connection.
struct PatchHeaders {
  /// Tags that say how to show the data; the reference's list.
  static let shown: Set<String> = [
    "authorization", "content-disposition", "content-encoding", "content-language",
    "content-location", "content-type", "link",
  ]
  /// Headers that frame an answer, which would make a client read another answer than was sent.
  static let framing: Set<String> = [
    "connection", "content-length", "date", "keep-alive", "proxy-authenticate",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
  ]
  /// Longer values do not get through every proxy.
  static let valueByteCountMax = 4096

  let sendsAllTags: Bool

  func add(_ patch: QuiltPatchHeader, to headers: inout HTTPFields) {
    for tag in patch.tags.tags {
      let lowered = tag.name.lowercased()
      guard sendsAllTags ? !Self.framing.contains(lowered) : Self.shown.contains(lowered),
        let name = HTTPField.Name(tag.name), headers[name] == nil, Self.isValue(tag.value)
      else { continue }
      headers[name] = tag.value
    }
    // Other identifiers do not fit into a header; the list of patches has them all.
    if Self.isValue(patch.identifier.text) {
      headers[.xQuiltPatchIdentifier] = patch.identifier.text
    } else {
      headers[.xQuiltPatchIdentifier] = nil
    }
  }

  /// Visible ASCII and blanks, as the reference has it.
  private static func isValue(_ text: String) -> Bool {
    text.utf8.count <= valueByteCountMax
      && text.utf8.allSatisfy { (0x20...0x7E).contains($0) || $0 == UInt8(ascii: "\t") }
  }
}

extension HTTPField.Name {
  static let xQuiltPatchIdentifier = HTTPField.Name(known: "X-Quilt-Patch-Identifier")
}
