// DataDirectory.swift
//
// Where a local cluster keeps everything, and who may use it.
//
//   lock                          held by the one process that runs the cluster
//   creating                      there while a new cluster is being laid out
//   control.sqlite                the control store: registrations, committee, epochs
//   admin.sock                    the administration socket of the running process
//   spool/                        temporary files of large degraded reads; emptied at start
//   nodes/node-3/identity.json    cluster ID, node number and private key, mode 0600
//   nodes/node-3/stopped          there while the operator wants the node to stay down
//   nodes/node-3/missing.sqlite   what the node lacks
//   nodes/node-3/drive-0/         segments and drive marker; index.sqlite beside them
//
// Invariant: what is not there is absent, never "to be initialised". Only a directory that is empty,
// or whose layout was interrupted (`creating`), becomes a new cluster.

import Cluster
import Foundation
import Glibc

struct DataDirectory: Sendable {
  let root: URL

  init(_ path: String) {
    root = URL(fileURLWithPath: path, isDirectory: true)
  }

  var path: String { root.path }
  var lockFile: URL { root.appendingPathComponent("lock") }
  var creatingFile: URL { root.appendingPathComponent("creating") }
  var controlStore: URL { root.appendingPathComponent("control.sqlite") }
  var adminSocket: URL { root.appendingPathComponent("admin.sock") }
  var spool: URL { root.appendingPathComponent("spool") }
  var nodes: URL { root.appendingPathComponent("nodes") }

  func node(_ name: String) -> URL { nodes.appendingPathComponent(name) }
  func identity(of name: String) -> URL { node(name).appendingPathComponent("identity.json") }
  func missingIndex(of name: String) -> URL { node(name).appendingPathComponent("missing.sqlite") }
  func stoppedMarker(of name: String) -> URL { node(name).appendingPathComponent("stopped") }
  func drive(_ number: Int, of name: String) -> URL {
    node(name).appendingPathComponent("drive-\(number)")
  }
  func segments(_ number: Int, of name: String) -> URL {
    drive(number, of: name).appendingPathComponent("segments")
  }
  func index(_ number: Int, of name: String) -> URL {
    drive(number, of: name).appendingPathComponent("index.sqlite")
  }

  func exists(_ url: URL) -> Bool { FileManager.default.fileExists(atPath: url.path) }

  func makeDirectory(_ url: URL) throws {
    do {
      try FileManager.default.createDirectory(
        at: url, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw CommandFailure(
        "cannot create \(url.path): \(error.localizedDescription); "
          + "choose a writable place with --data.")
    }
  }

  /// Writes a small file so that it is there, whole, after a crash: written beside, synced, renamed.
  func writeDurably(_ data: Data, to url: URL, mode: Int = 0o600) throws {
    let temporary = url.appendingPathExtension("new")
    try? FileManager.default.removeItem(at: temporary)
    guard
      FileManager.default.createFile(
        atPath: temporary.path, contents: nil, attributes: [.posixPermissions: mode])
    else { throw CommandFailure("cannot write \(url.path): is the disk full or read-only?") }
    let handle = try FileHandle(forWritingTo: temporary)
    try handle.write(contentsOf: data)
    try handle.synchronize()
    try handle.close()
    guard unsafe rename(temporary.path, url.path) == 0 else {
      throw CommandFailure("cannot rename \(temporary.path) to \(url.path): error \(errno)")
    }
    try syncDirectory(url.deletingLastPathComponent())
  }

  func syncDirectory(_ url: URL) throws {
    let descriptor = unsafe open(url.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw CommandFailure("cannot open \(url.path): error \(errno)") }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else {
      throw CommandFailure("cannot make \(url.path) durable: error \(errno)")
    }
  }

  /// Takes the directory for this process.
  func lock() throws -> DataDirectoryLock {
    try makeDirectory(root)
    let descriptor = unsafe open(lockFile.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw CommandFailure(
        "cannot use \(path): \(systemErrorText(errno)); "
          + "check its permissions or choose another place with --data.")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      throw CommandFailure(
        "another walrus process runs the cluster in \(path); stop it first, or use another --data.")
    }
    return DataDirectoryLock(descriptor: descriptor)
  }
}

/// What the system says of an error number.
func systemErrorText(_ code: Int32) -> String {
  unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
}

/// The lock on a data directory; gone with the process, whatever ends it.
final class DataDirectoryLock: Sendable {
  private let descriptor: Int32

  fileprivate init(descriptor: Int32) { self.descriptor = descriptor }
  deinit { close(descriptor) }
}

/// Who a node is: apart from its drives, so that losing a drive keeps the node.
struct NodeIdentity: Codable {
  var version: Int
  /// 64 hex digits.
  var clusterID: String
  var node: UInt16
  /// Ed25519, 64 hex digits.
  var privateKey: String

  static let currentVersion = 1

  init(clusterID: ClusterID, node: NodeID) {
    version = Self.currentVersion
    self.clusterID = "\(clusterID)"
    self.node = node.value
    // Keys come from the system's randomness, never from injected dice.
    var generator = SystemRandomNumberGenerator()
    privateKey = hexEncoded((0..<32).map { _ in generator.next() })
  }

  static func read(_ url: URL) throws -> NodeIdentity {
    let identity: NodeIdentity
    do {
      identity = try JSONDecoder().decode(NodeIdentity.self, from: Data(contentsOf: url))
    } catch {
      throw CommandFailure(
        "cannot read the node identity \(url.path): \(error); restore it from a backup: without its "
          + "key the node cannot prove who it is.")
    }
    guard identity.version == currentVersion else {
      throw CommandFailure(
        "\(url.path) has version \(identity.version); this program knows \(currentVersion).")
    }
    return identity
  }
}
