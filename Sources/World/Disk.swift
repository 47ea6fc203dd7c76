// Disk.swift
//
// One drive: a flat directory of files. Coarse calls, one per record or batch, so that a real drive
// can run them on its own bounded threads and a simulated one can fail each of them.
//
// What survives a crash: bytes written before the last `sync` that returned without an error, under
// names that were made durable by `syncDirectory`. Everything else may be there, in part, or not.
// After a failed `sync` nothing written since the last good one may be trusted.
//
// A call runs to its end even if its task is cancelled: one write may serve many callers.

/// Why a drive did not do what it was asked to.
package enum DiskError: Error, Equatable, Sendable {
  case notFound(file: String)
  case alreadyExists(file: String)
  /// No space is left; what was there before is intact.
  case full(file: String)
  /// A read reached past the end of the file.
  case endOfFile(file: String, offset: Int, count: Int)
  /// The drive said no; `code` is the system's error number. Never a reason to delete anything.
  case failed(file: String, operation: String, code: Int32)
}

extension DiskError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .notFound(let file): "there is no file \(file)"
    case .alreadyExists(let file): "the file \(file) exists already"
    case .full(let file): "no space is left to write \(file)"
    case .endOfFile(let file, let offset, let count):
      "the file \(file) ends before \(count) bytes at \(offset)"
    case .failed(let file, let operation, let code):
      "\(operation) of \(file.isEmpty ? "the drive" : file) failed with system error \(code)"
    }
  }
}

package protocol Disk: Sendable {
  /// Names of all files, sorted.
  func files() async throws(DiskError) -> [String]
  /// Opens an existing file for reading and writing.
  func open(_ name: String) async throws(DiskError) -> any DiskFile
  /// Creates an empty file, durable only after `syncDirectory`. An existing name is an error.
  func create(_ name: String) async throws(DiskError) -> any DiskFile
  /// Removes a file, durable only after `syncDirectory`. Open handles stay readable.
  func remove(_ name: String) async throws(DiskError)
  /// Replaces `newName` by `name` at once, durable only after `syncDirectory`.
  func rename(_ name: String, to newName: String) async throws(DiskError)
  /// Makes all creations, removals and renames so far durable.
  func syncDirectory() async throws(DiskError)
  /// Bytes that can still be written, as far as the drive knows, and its size.
  func space() async throws(DiskError) -> DiskSpace
}

package struct DiskSpace: Equatable, Sendable {
  package var freeByteCount: Int
  package var totalByteCount: Int

  package init(freeByteCount: Int, totalByteCount: Int) {
    self.freeByteCount = freeByteCount
    self.totalByteCount = totalByteCount
  }
}

/// An open file. Calls may overlap; overlapping writes to the same bytes are the caller's bug.
/// The file closes when the last reference goes.
package protocol DiskFile: Sendable {
  var name: String { get }
  func byteCount() async throws(DiskError) -> Int
  /// Reads exactly `count` bytes at `offset`.
  func read(at offset: Int, count: Int) async throws(DiskError) -> [UInt8]
  /// Writes the buffers one after the other from `offset` on; extends the file as needed.
  /// After an error any part of it may have been written.
  func write(_ buffers: [[UInt8]], at offset: Int) async throws(DiskError)
  /// Cuts or extends the file.
  func truncate(to byteCount: Int) async throws(DiskError)
  /// Makes all writes that returned before this call durable.
  func sync() async throws(DiskError)
}
