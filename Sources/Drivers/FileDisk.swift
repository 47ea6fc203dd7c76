// FileDisk.swift
//
// A drive that is a directory. Every call runs on the drive's own threads, so a drive that hangs
// holds up nobody but its own callers.
//
// The directory is locked for as long as the object lives: two processes that append to the same
// segments would destroy them.

package import World

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// Why a directory cannot be used as a drive.
package enum FileDiskError: Error, Equatable, Sendable {
  /// Another process (or another object of this one) uses it; stop that first.
  case inUse(directory: String)
  case failed(directory: String, operation: String, code: Int32)
}

package final class FileDisk: Disk {
  static let lockFileName = "lock"
  /// Enough to keep a drive busy; a pool per drive keeps a slow one from stopping the others.
  package static let threadCount = 4

  private let directory: FileDescriptor
  private let lock: FileDescriptor
  private let threads: BlockingThreads

  /// Opens and locks an existing directory.
  package init(directory path: String, threadCount: Int = FileDisk.threadCount)
    throws(FileDiskError)
  {
    do throws(SystemError) {
      directory = try openDirectory(path)
      lock = try Drivers.openFile(
        Self.lockFileName, in: directory.number, flags: O_RDWR | O_CREAT)
      let lockNumber = lock.number
      try check("flock") { flock(lockNumber, LOCK_EX | LOCK_NB) }
    } catch {
      if error.operation == "flock", error.code == EWOULDBLOCK { throw .inUse(directory: path) }
      throw .failed(directory: path, operation: error.operation, code: error.code)
    }
    threads = BlockingThreads(count: threadCount)
  }

  package func files() async throws(DiskError) -> [String] {
    try await run("") { directory throws(SystemError) in
      try regularFiles(in: directory).filter { $0 != FileDisk.lockFileName }.sorted()
    }
  }

  package func open(_ name: String) async throws(DiskError) -> any DiskFile {
    try await openFile(name, flags: O_RDWR)
  }

  package func create(_ name: String) async throws(DiskError) -> any DiskFile {
    try await openFile(name, flags: O_RDWR | O_CREAT | O_EXCL)
  }

  package func remove(_ name: String) async throws(DiskError) {
    try await run(name) { directory throws(SystemError) in
      try check("unlink") { unsafe unlinkat(directory, name, 0) }
    }
  }

  package func rename(_ name: String, to newName: String) async throws(DiskError) {
    try requirePlain(newName)
    try await run(name) { directory throws(SystemError) in
      try check("rename") { unsafe renameat(directory, name, directory, newName) }
    }
  }

  package func syncDirectory() async throws(DiskError) {
    try await run("") { directory throws(SystemError) in try check("fsync") { fsync(directory) } }
  }

  package func space() async throws(DiskError) -> DiskSpace {
    try await run("") { directory throws(SystemError) in
      var answer = statvfs()
      try check("statvfs") { unsafe fstatvfs(directory, &answer) }
      // What only root may fill is no space to us.
      func bytes(_ blockCount: some BinaryInteger) -> Int {
        let (count, overflow) = Int(clamping: blockCount)
          .multipliedReportingOverflow(by: Int(clamping: answer.f_frsize))
        return overflow ? .max : count
      }
      return DiskSpace(
        freeByteCount: bytes(answer.f_bavail), totalByteCount: bytes(answer.f_blocks))
    }
  }

  private func openFile(_ name: String, flags: Int32) async throws(DiskError) -> any DiskFile {
    let descriptor = try await run(name) { directory throws(SystemError) in
      try Drivers.openFile(name, in: directory, flags: flags)
    }
    return OpenFile(name: name, descriptor: descriptor, threads: threads)
  }

  private func run<Value: Sendable>(
    _ name: String, _ work: @escaping @Sendable (Int32) throws(SystemError) -> Value
  ) async throws(DiskError) -> Value {
    if !name.isEmpty { try requirePlain(name) }
    let directory = directory
    return try await threads.run { () throws(DiskError) in
      do throws(SystemError) {
        return try work(directory.number)
      } catch {
        throw error.diskError(file: name)
      }
    }
  }

  /// A drive is flat, and nothing outside it is ever touched.
  private func requirePlain(_ name: String) throws(DiskError) {
    guard !name.isEmpty, name != ".", name != "..", !name.utf8.contains(UInt8(ascii: "/")),
      !name.utf8.contains(0), name != Self.lockFileName
    else { throw .failed(file: name, operation: "name", code: EINVAL) }
  }
}

/// An open file of a drive; closes when the last reference goes.
private final class OpenFile: DiskFile {
  /// Small buffers (headers) are joined up to this size: one call per sliver instead of two.
  private static let joinedByteCountMax = 64 << 10

  let name: String
  private let descriptor: FileDescriptor
  private let threads: BlockingThreads

  init(name: String, descriptor: FileDescriptor, threads: BlockingThreads) {
    self.name = name
    self.descriptor = descriptor
    self.threads = threads
  }

  func byteCount() async throws(DiskError) -> Int {
    try await run { number throws(SystemError) in
      var answer = stat()
      try check("fstat") { unsafe fstat(number, &answer) }
      return Int(answer.st_size)
    }
  }

  func read(at offset: Int, count: Int) async throws(DiskError) -> [UInt8] {
    guard offset >= 0, count >= 0 else {
      throw .failed(file: name, operation: "read", code: EINVAL)
    }
    let bytes = try await run { number throws(SystemError) in
      try readBytes(number, at: offset, count: count)
    }
    guard bytes.count == count else {
      throw .endOfFile(file: name, offset: offset, count: count)
    }
    return bytes
  }

  func write(_ buffers: [[UInt8]], at offset: Int) async throws(DiskError) {
    guard offset >= 0 else { throw .failed(file: name, operation: "write", code: EINVAL) }
    try await run { number throws(SystemError) in
      var offset = offset
      var joined: [UInt8] = []
      for buffer in buffers {
        if joined.count + buffer.count <= Self.joinedByteCountMax {
          joined += buffer
          continue
        }
        offset += try writeBytes(number, joined, at: offset)
        joined.removeAll(keepingCapacity: true)
        if buffer.count <= Self.joinedByteCountMax {
          joined += buffer
        } else {
          offset += try writeBytes(number, buffer, at: offset)
        }
      }
      _ = try writeBytes(number, joined, at: offset)
    }
  }

  func truncate(to byteCount: Int) async throws(DiskError) {
    try await run { number throws(SystemError) in
      try check("ftruncate") { ftruncate(number, off_t(byteCount)) }
    }
  }

  func sync() async throws(DiskError) {
    try await run { number throws(SystemError) in try check("fdatasync") { fdatasync(number) } }
  }

  private func run<Value: Sendable>(
    _ work: @escaping @Sendable (Int32) throws(SystemError) -> Value
  ) async throws(DiskError) -> Value {
    let (name, descriptor) = (name, descriptor)
    return try await threads.run { () throws(DiskError) in
      do throws(SystemError) {
        return try work(descriptor.number)
      } catch {
        throw error.diskError(file: name)
      }
    }
  }
}
