// ReadQuiltCommand.swift
//
// read-quilt and list-patches-in-quilt. Identifiers are the words of whoever stored the quilt: they
// become file names only where they stay inside the directory that the user named.

import ArgumentParser
import Foundation
import NIOHTTP1
import RedStuff

/// A patch as the gateway lists it; the names are the API's.
struct ListedPatch: Codable {
  enum CodingKeys: String, CodingKey {
    case identifier, tags
    case id = "patch_id"
  }
  let identifier: String
  let id: String
  let tags: [String: String]
}

extension GatewayCalls {
  func patches(ofQuilt id: String) async throws -> [ListedPatch] {
    try await json([ListedPatch].self, .GET, "/v1/quilts/\(urlEscaped(id))/patches")
  }
}

/// `name=value`.
struct TagArgument: ExpressibleByArgument {
  let name: String
  let value: String

  init?(argument: String) {
    let sides = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    guard sides.count == 2 else { return nil }
    name = String(sides[0])
    value = String(sides[1])
  }

  func matches(_ patch: ListedPatch) -> Bool {
    patch.tags.contains {
      $0.key.utf8.elementsEqual(name.utf8) && $0.value.utf8.elementsEqual(value.utf8)
    }
  }
}

struct ReadQuilt: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Read patches of a quilt: some by their IDs, identifiers or a tag, or all.",
    discussion: """
      With --out each patch becomes a file in that directory, called by its identifier. Without, the \
      bytes of one patch go to standard output. Only the columns of these patches are read, not the \
      quilt.
      """)

  @Option(
    help: ArgumentHelp("The quilt; all its patches, unless some are chosen.", valueName: "id"))
  var quiltId: String?
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Patches of the quilt by their identifiers.", valueName: "identifier"))
  var identifiers: [String] = []
  @Option(
    help: ArgumentHelp("Patches of the quilt whose tag has this value.", valueName: "name=value"))
  var tag: TagArgument?
  @Option(
    parsing: .upToNextOption,
    help: ArgumentHelp("Patches of any quilts by their IDs.", valueName: "id"))
  var quiltPatchIds: [String] = []
  @Option(help: ArgumentHelp("Write files into this directory.", valueName: "dir")) var out: String?
  @OptionGroup var gateway: GatewayOption
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    let identifier: String
    let quiltPatchId: String
    let tags: [String: String]
    let out: String
    let size: Int
  }

  func validate() throws {
    let choices = [!quiltPatchIds.isEmpty, !identifiers.isEmpty, tag != nil].count { $0 }
    guard choices <= 1 else {
      throw ValidationError(
        "choose by --quilt-patch-ids, --identifiers or --tag; they do not go together.")
    }
    guard quiltPatchIds.isEmpty == (quiltId != nil) else {
      throw ValidationError(
        "name the quilt with --quilt-id, or patches with --quilt-patch-ids, which name theirs.")
    }
    if output.json, out == nil {
      throw ValidationError("--json needs --out: the bytes would mix with the JSON.")
    }
  }

  func run() async throws {
    let start = ContinuousClock.now
    let calls = GatewayCalls(gateway)
    let patches = try await chosen(calls)
    guard let out else {
      guard patches.count == 1 else {
        throw CommandFailure("\(patches.count) patches are chosen; name a directory with --out.")
      }
      _ = try await calls.download(path(of: patches[0]), to: nil, label: patches[0].identifier)
      return
    }
    // All names are known to be good before anything is written.
    let targets = try Self.targets(of: patches, in: out)
    var results: [Result] = []
    for (patch, target) in zip(patches, targets) {
      do {
        try FileManager.default.createDirectory(
          at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
      } catch {
        throw CommandFailure("cannot make the directory of \(target.path): \(error)")
      }
      let byteCount = try await calls.download(
        path(of: patch), to: target.path, label: patch.identifier)
      results.append(
        Result(
          identifier: patch.identifier, quiltPatchId: patch.id, tags: patch.tags,
          out: target.path, size: byteCount))
      if !output.json { Output.line("\(target.path)  \(humanByteCount(byteCount))") }
    }
    if output.json { return try Output.json(results) }
    let byteCount = results.reduce(0) { $0 + $1.size }
    Output.note(
      "\(results.count) patches, \(humanByteCount(byteCount)) in "
        + humanDuration(ContinuousClock.now - start))
  }

  private func path(of patch: ListedPatch) -> String {
    "/v1/blobs/by-quilt-patch-id/\(urlEscaped(patch.id))"
  }

  private func chosen(_ calls: GatewayCalls) async throws -> [ListedPatch] {
    guard let quiltId else { return try await chosenByID(calls) }
    let all = try await calls.patches(ofQuilt: quiltId)
    if let tag {
      let chosen = all.filter { tag.matches($0) }
      guard !chosen.isEmpty else {
        throw CommandFailure("no patch of \(quiltId) has the tag \(tag.name)=\(tag.value).")
      }
      return chosen
    }
    guard !identifiers.isEmpty else { return all }
    return try identifiers.map { identifier in
      guard let patch = all.first(where: { $0.identifier.utf8.elementsEqual(identifier.utf8) })
      else { throw CommandFailure("the quilt \(quiltId) has no patch `\(identifier)`.") }
      return patch
    }
  }

  private func chosenByID(_ calls: GatewayCalls) async throws -> [ListedPatch] {
    var quilts: [BlobID: [ListedPatch]] = [:]
    var chosen: [ListedPatch] = []
    for text in quiltPatchIds {
      let id: QuiltPatchID
      do { id = try QuiltPatchID(text: text) } catch {
        throw CommandFailure("`\(text)`: \(error).")
      }
      if quilts[id.quilt] == nil {
        quilts[id.quilt] = try await calls.patches(ofQuilt: id.quilt.text)
      }
      guard let patch = quilts[id.quilt]?.first(where: { $0.id == text }) else {
        throw CommandFailure("the quilt \(id.quilt) has no patch \(text).")
      }
      chosen.append(patch)
    }
    return chosen
  }

  /// Files in the directory, one for each patch.
  static func targets(of patches: [ListedPatch], in directory: String) throws -> [URL] {
    let root = URL(fileURLWithPath: directory, isDirectory: true)
    var seen: Set<String> = []
    return try patches.map { patch in
      let names = patch.identifier.split(separator: "/", omittingEmptySubsequences: false)
      guard names.allSatisfy({ !["", ".", ".."].contains($0) }) else {
        throw CommandFailure(
          "`\(patch.identifier)` is no file name inside \(directory): read that patch alone, to "
            + "standard output.")
      }
      let target = names.reduce(root) { $0.appendingPathComponent(String($1)) }
      guard seen.insert(target.path).inserted else {
        throw CommandFailure(
          "two patches are called `\(patch.identifier)`: read them by their IDs, one by one.")
      }
      return target
    }
  }
}

struct ListPatchesInQuilt: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the patches of a quilt with their IDs and tags.")

  @Argument(help: "The quilt's ID.") var quiltId: String
  @OptionGroup var gateway: GatewayOption
  @OptionGroup var output: JSONOption

  struct Result: Codable {
    struct Patch: Codable {
      let identifier: String
      let quiltPatchId: String
      let tags: [String: String]
    }
    let quiltId: String
    let patches: [Patch]
  }

  func run() async throws {
    let patches = try await GatewayCalls(gateway).patches(ofQuilt: quiltId)
    if output.json {
      return try Output.json(
        Result(
          quiltId: quiltId,
          patches: patches.map {
            .init(identifier: $0.identifier, quiltPatchId: $0.id, tags: $0.tags)
          }))
    }
    Output.table(
      patches.map { patch in
        let tags = patch.tags.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return [patch.id, patch.identifier, tags.joined(separator: " ")]
      })
  }
}
