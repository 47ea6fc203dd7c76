// WalrusProcess.swift
//
// The real command in real processes: run one to its end, or keep a cluster running on a folder of
// its own. Output goes to files, so a chatty process never blocks on a full pipe.

import Foundation
import Testing

struct ProcessFailure: Error {
  let text: String
}

struct WalrusOutcome {
  let status: Int32
  let output: String
  let errors: String

  func json<Value: Decodable>(_ type: Value.Type) throws -> Value {
    try JSONDecoder().decode(type, from: Data(output.utf8))
  }
}

/// A folder that goes when the test ends.
final class TemporaryFolder: Sendable {
  let url: URL

  init() throws {
    let name = "w-\(UUID().uuidString.prefix(8))"
    url = FileManager.default.temporaryDirectory.appendingPathComponent(name)
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func path(_ name: String) -> String { url.appendingPathComponent(name).path }

  /// Bytes that differ from file to file.
  @discardableResult
  func makeFile(_ name: String, byteCount: Int, seed: UInt64 = 1) throws -> String {
    var state = seed
    let bytes = (0..<byteCount).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
    try Data(bytes).write(to: url.appendingPathComponent(name))
    return path(name)
  }

  func contents(_ name: String) -> Data? {
    FileManager.default.contents(atPath: path(name))
  }
}

enum WalrusProcess {
  /// Beside the test bundle, where the build puts both.
  static var executable: URL {
    URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
      .appendingPathComponent("walrus")
  }

  /// Longer than any command here takes on a busy machine; only a hang reaches it.
  static let durationMax = 120.0

  static func launch(_ arguments: [String], output: URL, errors: URL) throws -> Process {
    for file in [output, errors] {
      _ = FileManager.default.createFile(atPath: file.path, contents: nil)
    }
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    return process
  }

  /// Runs a command that succeeds; returns the most memory it ever held, in bytes.
  static func peakMemory(_ arguments: [String]) throws -> Int {
    var actions = unsafe posix_spawn_file_actions_t()
    unsafe posix_spawn_file_actions_init(&actions)
    defer { unsafe posix_spawn_file_actions_destroy(&actions) }
    for descriptor: Int32 in 0...2 {
      unsafe posix_spawn_file_actions_addopen(&actions, descriptor, "/dev/null", O_RDWR, 0)
    }
    let words = unsafe ([executable.path] + arguments).map { unsafe strdup($0) } + [nil]
    defer { unsafe words.forEach { unsafe free($0) } }
    var child: pid_t = 0
    let spawned = unsafe posix_spawn(&child, executable.path, &actions, nil, words, environ)
    var (status, usage) = (Int32(0), rusage())
    guard spawned == 0, unsafe wait4(child, &status, 0, &usage) == child, status == 0 else {
      throw ProcessFailure(text: "\(arguments) did not run: \(spawned), status \(status)")
    }
    return usage.ru_maxrss * 1024
  }

  /// Runs a command to its end; `environment` is added to ours.
  static func run(
    _ arguments: [String], environment: [String: String] = [:]
  ) async throws -> WalrusOutcome {
    let folder = try TemporaryFolder()
    let (output, errors) = (
      folder.url.appendingPathComponent("out"), folder.url.appendingPathComponent("err")
    )
    let process = try launch(arguments, output: output, errors: errors)
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let status = try await ended(process, starting: true)
    return WalrusOutcome(
      status: status, output: String(decoding: try Data(contentsOf: output), as: UTF8.self),
      errors: String(decoding: try Data(contentsOf: errors), as: UTF8.self))
  }

  /// The exit status, once there is one; a hanging process is killed.
  static func ended(_ process: Process, starting: Bool) async throws -> Int32 {
    if starting { try process.run() }
    return await withCheckedContinuation { continuation in
      let thread = Thread {
        let limit = Date(timeIntervalSinceNow: durationMax)
        while process.isRunning, Date() < limit { Thread.sleep(forTimeInterval: 0.01) }
        if process.isRunning {
          kill(process.processIdentifier, SIGKILL)
          process.waitUntilExit()
        }
        continuation.resume(returning: process.terminationStatus)
      }
      thread.start()
    }
  }
}

/// A cluster in a process of its own.
final class RunningCluster {
  private struct Ready: Decodable {
    let url: String
  }

  let folder: TemporaryFolder
  let data: String
  private(set) var url = ""
  private var process: Process?

  init() throws {
    folder = try TemporaryFolder()
    data = folder.path("data")
  }

  deinit {
    if let process, process.isRunning { kill(process.processIdentifier, SIGKILL) }
  }

  static func start(_ options: [String] = ["--nodes", "4", "--shards", "4"]) async throws
    -> RunningCluster
  {
    let cluster = try RunningCluster()
    try await cluster.start(options)
    return cluster
  }

  func start(_ options: [String] = []) async throws {
    let (output, errors) = (
      folder.url.appendingPathComponent("up.out"), folder.url.appendingPathComponent("up.err")
    )
    let process = try WalrusProcess.launch(
      ["up", "--data", data, "--listen", "127.0.0.1:0", "--json"] + options, output: output,
      errors: errors)
    try process.run()
    self.process = process
    let limit = Date(timeIntervalSinceNow: WalrusProcess.durationMax)
    while Date() < limit {
      if let ready = try? JSONDecoder().decode(Ready.self, from: Data(contentsOf: output)) {
        url = ready.url
        return
      }
      guard process.isRunning else { break }
      try await Task.sleep(for: .milliseconds(20))
    }
    throw ProcessFailure(
      text: "no cluster: " + String(decoding: try Data(contentsOf: errors), as: UTF8.self))
  }

  /// Ends the process with a signal, and waits for its end.
  func end(_ signal: Int32) async throws -> Int32 {
    guard let process else { throw ProcessFailure(text: "nothing runs") }
    kill(process.processIdentifier, signal)
    self.process = nil
    return try await WalrusProcess.ended(process, starting: false)
  }

  /// A command on this cluster.
  func walrus(_ arguments: String...) async throws -> WalrusOutcome {
    try await walrus(arguments)
  }

  func walrus(_ arguments: [String]) async throws -> WalrusOutcome {
    let takesURL = ["store", "read", "store-quilt", "read-quilt", "list-patches-in-quilt"]
      .contains(arguments[0])
    return try await WalrusProcess.run(arguments + (takesURL ? ["--url", url] : ["--data", data]))
  }

  /// Stores a file and gives its blob ID.
  func store(_ path: String) async throws -> String {
    struct Stored: Decodable { let blobId: String }
    let outcome = try await walrus("store", path, "--json")
    guard outcome.status == 0 else { throw ProcessFailure(text: outcome.errors) }
    return try outcome.json([Stored].self)[0].blobId
  }

  /// The bytes of a blob, through a file.
  func read(_ id: String, _ options: String...) async throws -> Data? {
    let target = "read-\(UUID().uuidString)"
    let outcome = try await WalrusProcess.run(
      ["read", id, "--url", url, "--out", folder.path(target)] + options)
    guard outcome.status == 0 else { throw ProcessFailure(text: outcome.errors) }
    return folder.contents(target)
  }
}
