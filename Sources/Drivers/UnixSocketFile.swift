// UnixSocketFile.swift
//
// A Unix socket file that nobody else can connect to at any moment. The system creates the file
// with a mode that depends on the process; changing it afterwards leaves a gap. So the socket is
// bound inside a directory of mode 0700, gets its mode there, and is renamed to its path, which also
// replaces the file of a process that was killed.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Error numbers that the listener tells apart.
enum SystemErrors {
  static let addressInUse = EADDRINUSE
  static let unavailableAddress: Set<Int32> = [EADDRNOTAVAIL, EACCES, EPERM, EAFNOSUPPORT]
}

struct StagedUnixSocket {
  #if canImport(Darwin)
    /// `sun_path` has 104 bytes, one of them the final zero.
    static let pathByteCountMax = 103
  #else
    /// `sun_path` has 108 bytes, one of them the final zero.
    static let pathByteCountMax = 107
  #endif
  private static let ownerOnlyDirectory: mode_t = 0o700
  private static let ownerOnlyFile: mode_t = 0o600

  private let path: String
  private let directory: String
  /// Where the socket is bound until `publish`; no longer than `path` for names of six bytes.
  var stagedPath: String { directory + "/s" }

  init(path: String) throws(HTTPListenerError) {
    self.path = path
    let parent = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    directory = (parent + [".adm"]).joined(separator: "/")
    let byteCount = max(path.utf8.count, stagedPath.utf8.count)
    guard byteCount <= Self.pathByteCountMax else {
      throw .socketPathTooLong(
        path: path, byteCount: byteCount, byteCountMax: Self.pathByteCountMax)
    }
    discard()
    guard unsafe mkdir(directory, Self.ownerOnlyDirectory) == 0 else {
      throw .failed(path, reason: Self.failure("cannot create \(directory)"))
    }
  }

  /// Moves the bound socket to its path.
  func publish() throws(HTTPListenerError) {
    guard unsafe chmod(stagedPath, Self.ownerOnlyFile) == 0 else {
      throw .failed(path, reason: Self.failure("cannot restrict the socket file"))
    }
    guard unsafe rename(stagedPath, path) == 0 else {
      throw .failed(path, reason: Self.failure("cannot put the socket file in its place"))
    }
    discard()
  }

  /// Removes what the staging left; missing files are fine.
  func discard() {
    _ = unsafe unlink(stagedPath)
    _ = unsafe rmdir(directory)
  }

  static func remove(_ path: String) {
    _ = unsafe unlink(path)
  }

  private static func failure(_ what: String) -> String {
    let code = errno
    return unsafe "\(what): \(String(cString: strerror(code)))"
  }
}
