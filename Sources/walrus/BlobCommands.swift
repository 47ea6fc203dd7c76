// BlobCommands.swift
//
// store and read: blobs through the gateway, streamed both ways.

import ArgumentParser
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// What the gateway says of a new blob; the names are the API's.
struct StoredBlob: Codable {
  struct NewlyCreated: Codable {
    struct BlobObject: Codable {
      struct Storage: Codable {
        let endEpoch: UInt32
        let storageSize: UInt64
      }
      let id: String
      let blobId: String
      let size: UInt64
      let storage: Storage
      let deletable: Bool
    }
    let blobObject: BlobObject
  }
  let newlyCreated: NewlyCreated
}

struct Store: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Store files as blobs and print their IDs.",
    discussion: "`-` stores standard input. An upload counts only once its ID is printed.")

  @Argument(help: "Files to store.") var files: [String]
  @Option(help: "Keep for so many epochs (needs a cluster with an epoch duration to have an end).")
  var epochs: UInt32?
  @Flag(help: "Nobody may delete it before its end; needs --epochs.") var permanent = false
  @OptionGroup var gateway: GatewayOption
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let file: String
    let blobId: String
    let objectId: String
    let size: UInt64
    let storedSize: UInt64
    let seconds: Double
  }

  func validate() throws {
    guard !files.isEmpty else { throw ValidationError("name at least one file to store.") }
    if permanent, epochs == nil {
      throw ValidationError("--permanent needs --epochs: something undeletable must have an end.")
    }
  }

  func run() async throws {
    let calls = GatewayCalls(gateway)
    var query: [String] = []
    if let epochs { query.append("epochs=\(epochs)") }
    if permanent { query.append("permanent=true") }
    let path = "/v1/blobs" + (query.isEmpty ? "" : "?" + query.joined(separator: "&"))
    var results: [Result] = []
    for file in files {
      let start = ContinuousClock.now
      let stored = try await store(file, path: path, calls: calls)
      let elapsed = ContinuousClock.now - start
      let object = stored.newlyCreated.blobObject
      results.append(
        Result(
          file: file, blobId: object.blobId, objectId: object.id, size: object.size,
          storedSize: object.storage.storageSize, seconds: elapsed / .seconds(1)))
      if !output.json {
        Output.line(
          "\(object.blobId)  \(file)  \(humanByteCount(object.size)) in \(humanDuration(elapsed))")
      }
    }
    if output.json { try Output.json(results) }
  }

  private func store(_ file: String, path: String, calls: GatewayCalls) async throws -> StoredBlob {
    let source = file == "-" ? "/dev/stdin" : file
    var isDirectory: ObjCBool = false
    guard unsafe FileManager.default.fileExists(atPath: source, isDirectory: &isDirectory) else {
      throw CommandFailure("there is no file \(file).")
    }
    guard !isDirectory.boolValue else {
      throw CommandFailure(
        "\(file) is a directory; name the files in it, or store an archive of it.")
    }
    guard FileManager.default.isReadableFile(atPath: source) else {
      throw CommandFailure("\(file) cannot be read; check its permissions.")
    }
    let byteCount = file == "-" ? nil : try regularFileByteCount(file)
    let progress = ProgressBar(file, totalCount: byteCount ?? 0)
    defer { progress.finish() }
    let chunks = FileChunks(path: source, progress: progress)
    return try await calls.json(
      StoredBlob.self, .PUT, path,
      body: .stream(chunks, length: byteCount.map { .known(Int64($0)) } ?? .unknown))
  }
}

/// Of what a link points to.
private func attributes(_ path: String) throws -> [FileAttributeKey: Any] {
  try FileManager.default.attributesOfItem(
    atPath: URL(fileURLWithPath: path).resolvingSymlinksInPath().path)
}

/// The length of a regular file; nil for pipes and devices, whose length nobody knows.
func regularFileByteCount(_ path: String) throws -> UInt64? {
  let attributes = try attributes(path)
  guard attributes[.type] as? FileAttributeType == .typeRegular else { return nil }
  // Files of the kernel say 0 and have content all the same.
  let byteCount = attributes[.size] as? UInt64
  return byteCount == 0 ? nil : byteCount
}

struct Read: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Read a blob, or a part of it.",
    discussion: """
      Without --out the bytes go to standard output. With --out they are written beside the target \
      first and renamed when complete, so an interrupted read leaves no half file.
      """)

  @Argument(help: "The blob ID.") var id: String
  @Option(help: ArgumentHelp("Write to this file.", valueName: "file")) var out: String?
  @Option(
    help: ArgumentHelp(
      "Only these bytes, both ends included: --range=0-99, =100- or =-50.", valueName: "a-b"))
  var range: ByteRangeArgument?
  @Flag(help: "Encode the blob again and compare its ID before the first byte is printed.")
  var strict = false
  @OptionGroup var gateway: GatewayOption
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let blobId: String
    let out: String
    let size: Int
    let seconds: Double
  }

  func validate() throws {
    if output.json, out == nil {
      throw ValidationError("--json needs --out: the bytes would mix with the JSON.")
    }
  }

  func run() async throws {
    let start = ContinuousClock.now
    let calls = GatewayCalls(gateway)
    let headers = range.map { [("Range", $0.header)] } ?? []
    let path = "/v1/blobs/\(urlEscaped(id))" + (strict ? "?strict_consistency_check=true" : "")
    let byteCount = try await calls.download(path, to: out, label: out ?? id, headers: headers)
    let elapsed = ContinuousClock.now - start
    if output.json, let out {
      try Output.json(
        Result(blobId: id, out: out, size: byteCount, seconds: elapsed / .seconds(1)))
    } else if let out {
      Output.note("\(out)  \(humanByteCount(byteCount)) in \(humanDuration(elapsed))")
    }
  }
}

/// Standard output, a pipe or device, or a file that appears under its name only when complete.
struct OutputFile {
  private let handle: FileHandle
  private let temporaryPath: String?
  private let path: String?

  init(path: String?) throws {
    guard let path else {
      self.path = nil
      handle = .standardOutput
      temporaryPath = nil
      return
    }
    var isDirectory: ObjCBool = false
    if unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) {
      guard !isDirectory.boolValue else {
        throw CommandFailure("\(path) is a directory; name a file in it.")
      }
      if try attributes(path)[.type] as? FileAttributeType != .typeRegular {
        guard let handle = FileHandle(forWritingAtPath: path) else {
          throw CommandFailure("cannot write \(path): check its permissions.")
        }
        self.handle = handle
        self.path = path
        temporaryPath = nil
        return
      }
    }
    // A link stays a link: what it points to is replaced.
    let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
    self.path = target
    let temporary = target + ".partial-\(ProcessInfo.processInfo.processIdentifier)"
    guard FileManager.default.createFile(atPath: temporary, contents: nil),
      let handle = FileHandle(forWritingAtPath: temporary)
    else {
      throw CommandFailure("cannot write \(path): is its directory there and writable?")
    }
    self.handle = handle
    temporaryPath = temporary
  }

  func write(_ data: Data) throws { try handle.write(contentsOf: data) }

  func commit() throws {
    guard let path, let temporaryPath else { return }
    try handle.close()
    guard unsafe rename(temporaryPath, path) == 0 else {
      throw CommandFailure("cannot rename \(temporaryPath) to \(path): error \(errno)")
    }
  }

  func abandon() {
    guard let temporaryPath else { return }
    try? handle.close()
    try? FileManager.default.removeItem(atPath: temporaryPath)
  }
}
