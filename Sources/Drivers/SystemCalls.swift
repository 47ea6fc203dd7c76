// SystemCalls.swift
//
// The few system calls that files need, with errors as values: interrupted calls are repeated, short
// reads and writes go on.

internal import World

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

struct SystemError: Error, Equatable {
  var operation: String
  var code: Int32

  func diskError(file: String) -> DiskError {
    switch code {
    case ENOENT: .notFound(file: file)
    case EEXIST: .alreadyExists(file: file)
    case ENOSPC, EDQUOT: .full(file: file)
    default: .failed(file: file, operation: operation, code: code)
    }
  }
}

/// Owns an open file and closes it. A failed close tells nothing that a sync did not tell before.
final class FileDescriptor: Sendable {
  let number: Int32

  init(_ operation: String, _ open: () -> Int32) throws(SystemError) {
    number = try answer(of: operation, open)
  }

  deinit { close(number) }
}

/// Opens a directory, to name files relative to it.
func openDirectory(_ path: String) throws(SystemError) -> FileDescriptor {
  try FileDescriptor("open") { unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
}

/// Opens a file of a directory.
func openFile(_ name: String, in directory: Int32, flags: Int32) throws(SystemError)
  -> FileDescriptor
{
  try FileDescriptor("open") { unsafe openat(directory, name, flags | O_CLOEXEC, 0o600) }
}

/// How much the calling thread yields to other threads: 0 not at all, 19 most. A thread may raise it
/// but never lower it again; where it may not even do that, it stays as it is.
func setNiceness(_ niceness: Int32) {
  // On Linux this is of the thread, as the manual of nice says under C library differences.
  #if os(Linux)
    _ = setpriority(0, 0, niceness)
  #endif
}

/// Of the calling thread.
func currentNiceness() -> Int32 { getpriority(0, 0) }

/// Repeats an interrupted call; throws the system's error if it answers with a negative number.
func check(_ operation: String, _ call: () -> Int32) throws(SystemError) {
  _ = try answer(of: operation, call)
}

func answer<Answer: SignedInteger>(of operation: String, _ call: () -> Answer)
  throws(SystemError) -> Answer
{
  while true {
    let answer = call()
    if answer >= 0 { return answer }
    let code = errno
    if code != EINTR { throw SystemError(operation: operation, code: code) }
  }
}

/// Reads `count` bytes, or fewer at the end of the file.
func readBytes(_ number: Int32, at offset: Int, count: Int) throws(SystemError) -> [UInt8] {
  var failure: SystemError?
  let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
    while filled < count {
      let rest = unsafe UnsafeMutableRawBufferPointer(
        rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
      do throws(SystemError) {
        let answer = try answer(of: "read") {
          unsafe pread(number, rest.baseAddress, count - filled, off_t(offset + filled))
        }
        if answer == 0 { return }
        filled += answer
      } catch {
        failure = error
        return
      }
    }
  }
  if let failure { throw failure }
  return bytes
}

/// Writes all bytes and returns how many they were.
func writeBytes(_ number: Int32, _ bytes: [UInt8], at offset: Int) throws(SystemError) -> Int {
  var failure: SystemError?
  unsafe bytes.withUnsafeBytes { buffer in
    var written = 0
    while written < buffer.count {
      let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[written...])
      do throws(SystemError) {
        written += try answer(of: "write") {
          unsafe pwrite(number, rest.baseAddress, rest.count, off_t(offset + written))
        }
      } catch {
        failure = error
        return
      }
    }
  }
  if let failure { throw failure }
  return bytes.count
}

/// Names of the regular files of a directory, in no order.
func regularFiles(in directory: Int32) throws(SystemError) -> [String] {
  // A descriptor of its own: reading moves the position, and callers may overlap.
  let number = try answer(of: "open") {
    unsafe openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
  }
  guard let stream = unsafe fdopendir(number) else {
    let code = errno
    close(number)
    throw SystemError(operation: "fdopendir", code: code)
  }
  defer { unsafe closedir(stream) }
  var names: [String] = []
  while true {
    // The only way to tell the end from an error.
    errno = 0
    guard let entry = unsafe readdir(stream) else {
      if errno != 0 { throw SystemError(operation: "readdir", code: errno) }
      return names
    }
    let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
      unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
    }
    var answer = stat()
    do throws(SystemError) {
      try check("fstatat") { unsafe fstatat(directory, name, &answer, AT_SYMLINK_NOFOLLOW) }
    } catch {
      // Removed since it was listed.
      if error.code == ENOENT { continue }
      throw error
    }
    if answer.st_mode & S_IFMT == S_IFREG { names.append(name) }
  }
}
