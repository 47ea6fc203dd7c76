// DiskOperation.swift
//
// What a simulated drive was asked to do, in numbers and in words.

internal import World

struct DiskOperation {
  enum Kind: String {
    case list, open, create, remove, rename, syncDirectory, space
    case size, read, write, truncate, sync

    /// The least that one takes; most take a few times that. A sync waits for the platter.
    var latencyMicroseconds: Int {
      switch self {
      case .sync, .syncDirectory: 100
      case .read, .write: 20
      case .list, .open, .create, .remove, .rename, .size, .space, .truncate: 4
      }
    }
  }

  var kind: Kind
  /// Empty: the whole drive.
  var file: String
  var offset: Int
  var byteCount: Int

  init(_ kind: Kind, _ file: String = "", offset: Int = 0, byteCount: Int = 0) {
    self.kind = kind
    self.file = file
    self.offset = offset
    self.byteCount = byteCount
  }

  var name: String { kind.rawValue }

  var text: String {
    let target = file.isEmpty ? name : "\(name) \(file)"
    return byteCount > 0 || offset > 0 ? "\(target) \(byteCount) at \(offset)" : target
  }

  func hash(_ error: DiskError?) -> UInt64 {
    var hash = EventHash()
    hash.add(name)
    hash.add(file)
    hash.add(offset)
    hash.add(byteCount)
    switch error {
    case nil: hash.add(0)
    case .notFound: hash.add(1)
    case .alreadyExists: hash.add(2)
    case .full: hash.add(3)
    case .endOfFile: hash.add(4)
    case .failed(_, _, let code): hash.add(256 + Int(code))
    }
    return hash.value
  }
}
