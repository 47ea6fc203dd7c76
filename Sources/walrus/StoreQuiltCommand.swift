// StoreQuiltCommand.swift
//
// store-quilt: files become the patches of one quilt, sent to the gateway as a form.

import ArgumentParser
import AsyncHTTPClient
import Cluster
import Foundation
import NIOCore
import NIOHTTP1
import RedStuff

struct StoreQuilt: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Store many files as one quilt and print the IDs of its patches.",
    discussion: """
      With --paths each file is called by its name, and each file in a directory by its path within. \
      With --blobs each file is described by a JSON object, of which only the path is needed: \
      --blobs '{"path": "a.txt", "identifier": "greeting", "tags": {"lang": "en"}}'
      """)

  @Option(
    parsing: .upToNextOption, help: ArgumentHelp("Files and directories.", valueName: "path"))
  var paths: [String] = []
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Files with identifiers and tags, one JSON object each.", valueName: "json"))
  var blobs: [String] = []
  @Option(help: "Keep for so many epochs (needs a cluster with an epoch duration to have an end).")
  var epochs: UInt32?
  @Flag(help: "Nobody may delete it before its end; needs --epochs.") var permanent = false
  @OptionGroup var gateway: GatewayOption
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    struct Patch: Codable {
      let identifier: String
      let quiltPatchId: String
      let file: String
    }
    let quiltId: String
    let objectId: String
    let size: UInt64
    let storedSize: UInt64
    let seconds: Double
    let patches: [Patch]
  }

  /// What the gateway says of a new quilt; the names are the API's.
  private struct StoredQuilt: Codable {
    struct Patch: Codable {
      let identifier: String
      let quiltPatchId: String
    }
    let blobStoreResult: StoredBlob
    let storedQuiltBlobs: [Patch]
  }

  func validate() throws {
    guard !paths.isEmpty || !blobs.isEmpty else {
      throw ValidationError("name files with --paths, or describe them with --blobs.")
    }
    if permanent, epochs == nil {
      throw ValidationError("--permanent needs --epochs: something undeletable must have an end.")
    }
  }

  func run() async throws {
    let start = ContinuousClock.now
    let files = try QuiltFile.checked(
      paths.flatMap { try QuiltFile.files(at: $0) } + blobs.map { try QuiltFile(json: $0) })
    var query: [String] = []
    if let epochs { query.append("epochs=\(epochs)") }
    if permanent { query.append("permanent=true") }
    let path = "/v1/quilts" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
    let form = QuiltFormBody(files)
    let progress = ProgressBar("quilt", totalCount: form.byteCount ?? 0)
    defer { progress.finish() }
    let stored = try await GatewayCalls(gateway).json(
      StoredQuilt.self, .PUT, path,
      body: .stream(
        form.chunks(progress: progress),
        length: form.byteCount.map { .known(Int64($0)) } ?? .unknown),
      headers: [("Content-Type", "multipart/form-data; boundary=\(form.boundary)")])
    progress.finish()
    let elapsed = ContinuousClock.now - start
    let object = stored.blobStoreResult.newlyCreated.blobObject
    let sources = Dictionary(
      files.map { ($0.identifier, $0.path) }, uniquingKeysWith: { first, _ in first })
    let patches = try stored.storedQuiltBlobs.map { patch in
      Result.Patch(
        identifier: patch.identifier, quiltPatchId: patch.quiltPatchId,
        file: sources[try QuiltIdentifier(patch.identifier)] ?? "")
    }
    if output.json {
      return try Output.json(
        Result(
          quiltId: object.blobId, objectId: object.id, size: object.size,
          storedSize: object.storage.storageSize, seconds: elapsed / .seconds(1),
          patches: patches))
    }
    Output.line(
      "\(object.blobId)  quilt of \(patches.count) patches, "
        + "\(humanByteCount(object.size)) in \(humanDuration(elapsed))")
    for patch in patches { Output.line("\(patch.quiltPatchId)  \(patch.identifier)") }
  }
}

/// A file that becomes a patch.
struct QuiltFile {
  let path: String
  let identifier: QuiltIdentifier
  var tags: [JSONMember] = []

  init(path: String, identifier: String) throws {
    self.path = path
    do { self.identifier = try QuiltIdentifier(identifier) } catch {
      throw CommandFailure("\(path) cannot be called `\(identifier)`: \(error).")
    }
    // The form has a field of this name that says something else.
    guard identifier != "_metadata" else {
      throw CommandFailure("\(path) cannot be called `_metadata`: give it another identifier.")
    }
  }

  /// `{"path": ..., "identifier": ..., "tags": {...}}`.
  init(json text: String) throws {
    let json: JSONValue
    do { json = try JSONValue(parsing: Array(text.utf8)) } catch {
      throw CommandFailure("`\(text)` is no JSON: \(error).")
    }
    guard let path = json["path"]?.string else {
      throw CommandFailure("`\(text)` has no `path`, which is the text that names the file.")
    }
    let known = ["path", "identifier", "tags"]
    if let other = json.members?.first(where: { !known.contains($0.name) }) {
      throw CommandFailure(
        "`\(text)` has `\(other.name)`; known are \(known.joined(separator: ", ")).")
    }
    let name = URL(fileURLWithPath: path).lastPathComponent
    guard let identifier = (json["identifier"] ?? .string(name)).string else {
      throw CommandFailure("the `identifier` in `\(text)` is not text.")
    }
    try self.init(path: path, identifier: identifier)
    guard let tags = (json["tags"] ?? [:]).members else {
      throw CommandFailure("the `tags` in `\(text)` are no object: {\"name\": \"value\"}.")
    }
    self.tags = tags
  }

  /// The file, or all files in the directory and those in it.
  static func files(at path: String) throws -> [QuiltFile] {
    let url = URL(fileURLWithPath: path)
    var isDirectory: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw CommandFailure("there is no file \(path).")
    }
    guard isDirectory.boolValue else {
      return [try QuiltFile(path: path, identifier: url.lastPathComponent)]
    }
    guard let names = FileManager.default.enumerator(atPath: path) else {
      throw CommandFailure("the directory \(path) cannot be read; check its permissions.")
    }
    var files: [QuiltFile] = []
    for case let name as String in names {
      let inner = url.appendingPathComponent(name).path
      var isInnerDirectory: ObjCBool = false
      let isThere = unsafe FileManager.default.fileExists(
        atPath: inner, isDirectory: &isInnerDirectory)
      guard isThere else { throw CommandFailure("\(inner) is a link to nothing.") }
      if !isInnerDirectory.boolValue {
        files.append(try QuiltFile(path: inner, identifier: name))
      }
    }
    return files.sorted { $0.identifier < $1.identifier }
  }

  /// The files, if they can make up a quilt.
  static func checked(_ files: [QuiltFile]) throws -> [QuiltFile] {
    guard !files.isEmpty else { throw CommandFailure("there is no file in there.") }
    var paths: [QuiltIdentifier: String] = [:]
    for file in files {
      if let other = paths.updateValue(file.path, forKey: file.identifier) {
        throw CommandFailure(
          "\(other) and \(file.path) are both called `\(file.identifier)`: "
            + "give one another identifier with --blobs.")
      }
      guard FileManager.default.isReadableFile(atPath: file.path) else {
        throw CommandFailure(
          "\(file.path) cannot be read: is it there, and are its permissions right?")
      }
    }
    return files
  }
}

/// The form of an upload: what stands between the files, and the files.
struct QuiltFormBody {
  let boundary = "walrus-\(UUID().uuidString)"
  /// Nil where a file's length is not known.
  let byteCount: UInt64?
  private let pieces: [Piece]

  fileprivate enum Piece: Sendable {
    case bytes([UInt8])
    case file(String)
  }

  init(_ files: [QuiltFile]) {
    var pieces: [Piece] = []
    var byteCount: UInt64? = 0
    func add(_ text: String) {
      let bytes = Array(text.utf8)
      pieces.append(.bytes(bytes))
      byteCount = byteCount.map { $0 + UInt64(bytes.count) }
    }
    let tagged = files.filter { !$0.tags.isEmpty }
    if !tagged.isEmpty {
      let metadata = tagged.map { file -> JSONValue in
        ["identifier": .string(file.identifier.text), "tags": .object(file.tags)]
      }
      add(Self.header("_metadata", boundary) + JSONValue.array(metadata).text + "\r\n")
    }
    for file in files {
      add(Self.header(file.identifier.text, boundary))
      pieces.append(.file(file.path))
      let length = try? regularFileByteCount(file.path)
      byteCount = byteCount.flatMap { sum in length.map { sum + $0 } }
      add("\r\n")
    }
    add("--\(boundary)--\r\n")
    self.pieces = pieces
    self.byteCount = byteCount
  }

  private static func header(_ name: String, _ boundary: String) -> String {
    let quoted = name.replacingOccurrences(of: #"\"#, with: #"\\"#)
      .replacingOccurrences(of: "\"", with: #"\""#)
    return "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(quoted)\"\r\n\r\n"
  }

  func chunks(progress: ProgressBar) -> Chunks { Chunks(pieces: pieces, progress: progress) }

  struct Chunks: AsyncSequence, Sendable {
    typealias Element = ByteBuffer
    fileprivate let pieces: [Piece]
    let progress: ProgressBar

    struct AsyncIterator: AsyncIteratorProtocol {
      fileprivate var rest: ArraySlice<Piece>
      let progress: ProgressBar
      fileprivate var file: FileChunks.AsyncIterator?

      mutating func next() async throws -> ByteBuffer? {
        while true {
          if file != nil {
            if let chunk = try await file?.next() { return chunk }
            file = nil
          }
          switch rest.popFirst() {
          case nil: return nil
          case .bytes(let bytes): return ByteBuffer(bytes: bytes)
          case .file(let path):
            file = FileChunks(path: path, progress: progress).makeAsyncIterator()
          }
        }
      }
    }

    func makeAsyncIterator() -> AsyncIterator {
      AsyncIterator(rest: pieces[...], progress: progress)
    }
  }
}
