// QuiltForm.swift
//
// A form that describes a quilt, as its parts come in: each field is a patch and its name the
// identifier; the field `_metadata` is JSON that gives patches their tags. Pure.
//
// Whatever will make the quilt impossible is refused as soon as it is seen, so that nobody uploads the
// rest for nothing.

import BlobClient
import Cluster
import RedStuff

struct QuiltForm {
  static let metadataName = "_metadata"
  /// As long as any JSON that is read here.
  static let metadataByteCountMax = JSONValue.byteCountMax

  private let parameters: EncodingParameters
  private var patches: [(identifier: QuiltIdentifier, data: [UInt8])] = []
  private var identifiers: Set<QuiltIdentifier> = []
  private var metadata: [UInt8]?
  private var open: Field?
  /// Of all patches so far.
  private var dataByteCount = 0
  /// What the parts so far take in memory.
  var byteCount: Int { dataByteCount + (metadata?.count ?? 0) }

  private enum Field {
    /// The last of `patches`.
    case patch
    case metadata
  }

  init(parameters: EncodingParameters) { self.parameters = parameters }

  /// Takes the next event of the parser.
  mutating func take(_ event: MultipartParser.Event) throws(GatewayFailure) {
    switch event {
    case .part(let name): open = try begin(name)
    case .data(let bytes): try append(bytes)
    case .partEnd: open = nil
    }
  }

  private mutating func begin(_ name: String) throws(GatewayFailure) -> Field {
    if name.utf8.elementsEqual(Self.metadataName.utf8) {
      guard metadata == nil else { throw .malformed("the field `_metadata` is given twice") }
      metadata = []
      return .metadata
    }
    let identifier: QuiltIdentifier
    do { identifier = try QuiltIdentifier(name) } catch {
      throw .malformed("`\(name.prefix(80))` cannot name a patch: \(error)")
    }
    guard identifiers.insert(identifier).inserted else {
      throw GatewayFailure(.quiltRefused(.repeatedIdentifier(identifier)))
    }
    let countMax = parameters.secondarySourceCount - 1
    guard identifiers.count <= countMax else {
      throw GatewayFailure(
        .quiltRefused(.tooManyPatches(count: identifiers.count, countMax: countMax)))
    }
    patches.append((identifier, []))
    return .patch
  }

  private mutating func append(_ bytes: [UInt8]) throws(GatewayFailure) {
    switch open {
    case .metadata:
      metadata?.append(contentsOf: bytes)
      guard metadata?.count ?? 0 <= Self.metadataByteCountMax else {
        throw .malformed("`_metadata` is longer than \(Self.metadataByteCountMax) bytes")
      }
    case .patch:
      dataByteCount += bytes.count
      guard dataByteCount <= parameters.blobByteCountMax else {
        throw .blobTooLarge(
          byteCount: UInt64(dataByteCount), byteCountMax: parameters.blobByteCountMax)
      }
      patches[patches.count - 1].data.append(contentsOf: bytes)
    case nil: break
    }
  }

  /// The patches with their tags, once all parts are there.
  consuming func finish() throws(GatewayFailure) -> [QuiltPatch] {
    guard !patches.isEmpty else {
      throw .malformed("the form has no field but maybe `_metadata`: send a field for each patch")
    }
    let tags = try metadata.map { bytes throws(GatewayFailure) in try QuiltFormMetadata(bytes) }
    if let stranger = tags?.tags.keys.filter({ !identifiers.contains($0) }).min() {
      throw .malformed("`_metadata` speaks of `\(stranger)`, and no field has that name")
    }
    return patches.map { patch in
      QuiltPatch(
        identifier: patch.identifier, tags: tags?.tags[patch.identifier] ?? .none,
        data: patch.data)
    }
  }
}

/// The field `_metadata`: `[{"identifier": "a.txt", "tags": {"k": "v"}}]`.
struct QuiltFormMetadata: Equatable {
  let tags: [QuiltIdentifier: QuiltTags]

  init(_ bytes: [UInt8]) throws(GatewayFailure) {
    let json: JSONValue
    do { json = try JSONValue(parsing: bytes) } catch {
      throw .malformed("`_metadata` is no JSON: \(error)")
    }
    guard let items = json.array else {
      throw .malformed("`_metadata` is a list: [{\"identifier\": ..., \"tags\": {...}}]")
    }
    var tags: [QuiltIdentifier: QuiltTags] = [:]
    for item in items {
      let (identifier, own) = try Self.item(item)
      guard tags.updateValue(own, forKey: identifier) == nil else {
        throw .malformed("`_metadata` speaks of `\(identifier)` twice")
      }
    }
    self.tags = tags
  }

  private static func item(
    _ item: JSONValue
  ) throws(GatewayFailure) -> (QuiltIdentifier, QuiltTags) {
    guard let text = item["identifier"]?.string else {
      throw .malformed("each item of `_metadata` has an `identifier`, which is text")
    }
    let identifier: QuiltIdentifier
    do { identifier = try QuiltIdentifier(text) } catch {
      throw .malformed("`_metadata` speaks of `\(text.prefix(80))`: \(error)")
    }
    guard let value = item["tags"] else { return (identifier, .none) }
    guard let members = value.members else {
      throw .malformed("the `tags` of `\(identifier)` are an object: {\"name\": \"value\"}")
    }
    do {
      // What is not text stands for itself, as JSON.
      let tags = members.map { QuiltTag(name: $0.name, value: $0.value.string ?? $0.value.text) }
      return (identifier, try QuiltTags(tags))
    } catch {
      throw .malformed("the tags of `\(identifier)`: \(error)")
    }
  }
}
