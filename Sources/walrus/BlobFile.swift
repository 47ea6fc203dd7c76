// BlobFile.swift
//
// Files that become blobs: read in any order where they are regular files, in one go where they are
// pipes or what the kernel shows.

import Foundation
import Glibc
import RedStuff

/// An open regular file of known size.
final class BlobFile: Sendable {
  let byteCount: UInt64
  private let path: String
  private let handle: FileHandle

  /// Nil if the file is not a regular one, or does not say how long it is. Throws if it cannot be read
  /// or is larger than a blob can be.
  init?(regular path: String, parameters: EncodingParameters) throws {
    guard let handle = FileHandle(forReadingAtPath: path) else {
      throw CommandFailure("cannot read \(path): is it there, and readable?")
    }
    var status = stat()
    guard unsafe fstat(handle.fileDescriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      status.st_size > 0
    else { return nil }
    byteCount = UInt64(status.st_size)
    self.path = path
    self.handle = handle
    guard byteCount <= parameters.blobByteCountMax else { throw tooLarge(path, parameters) }
  }

  /// Fills the span with the bytes from `offset` on. Any thread.
  @Sendable func read(_ offset: UInt64, _ bytes: inout MutableSpan<UInt8>) throws {
    try unsafe bytes.withUnsafeMutableBytes { target in
      var filled = 0
      while filled < target.count {
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: target[filled...])
        let count = unsafe pread(
          handle.fileDescriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(filled))
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else {
          throw CommandFailure(
            count == 0
              ? "\(path) became shorter while it was read; try again when nobody writes to it."
              : "cannot read \(path) at byte \(offset): \(unsafe String(cString: strerror(errno)))."
          )
        }
        filled += count
      }
    }
  }
}

/// The parts of a file, one after the other, with its size checked first.
func readBlob(_ path: String, parameters: EncodingParameters) throws -> [[UInt8]] {
  guard let handle = FileHandle(forReadingAtPath: path) else {
    throw CommandFailure("cannot read \(path): is it there, and readable?")
  }
  defer { try? handle.close() }
  var pieces: [[UInt8]] = []
  var byteCount: UInt64 = 0
  while true {
    let data: Data?
    do {
      data = try handle.read(upToCount: 8 << 20)
    } catch {
      throw CommandFailure("cannot read \(path): is it a file?")
    }
    guard let data, !data.isEmpty else { return pieces }
    byteCount += UInt64(data.count)
    guard byteCount <= parameters.blobByteCountMax else { throw tooLarge(path, parameters) }
    pieces.append([UInt8](data))
  }
}

private func tooLarge(_ path: String, _ parameters: EncodingParameters) -> CommandFailure {
  CommandFailure(
    "\(path) is larger than a blob of \(parameters.shardCount) shards can be, which is "
      + "\(humanByteCount(parameters.blobByteCountMax)); use more shards or split it.")
}
