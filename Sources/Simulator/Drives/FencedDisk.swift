// FencedDisk.swift
//
// A drive as one process sees it: once the process has ended, nothing that is left of it can touch
// the drive any more, through handles opened before or by calls under way. The next process gets a
// fence of its own around the same drive.

internal import Synchronization
package import World

/// The process in whose name a task uses a seam. The simulated drive and index look here when an
/// operation has waited long enough: whoever died meanwhile has no effect.
enum SeamOwner {
  @TaskLocal static var life: ProcessLife?
}

package struct FencedDisk: Disk {
  private let base: any Disk
  private let life: ProcessLife

  package init(_ base: any Disk, life: ProcessLife) {
    self.base = base
    self.life = life
  }

  package func files() async throws(DiskError) -> [String] {
    try await fenced(life, "list", "") { () throws(DiskError) in try await base.files() }
  }

  package func open(_ name: String) async throws(DiskError) -> any DiskFile {
    let file = try await fenced(life, "open", name) { () throws(DiskError) in
      try await base.open(name)
    }
    return FencedFile(base: file, life: life)
  }

  package func create(_ name: String) async throws(DiskError) -> any DiskFile {
    let file = try await fenced(life, "create", name) { () throws(DiskError) in
      try await base.create(name)
    }
    return FencedFile(base: file, life: life)
  }

  package func remove(_ name: String) async throws(DiskError) {
    try await fenced(life, "remove", name) { () throws(DiskError) in try await base.remove(name) }
  }

  package func rename(_ name: String, to newName: String) async throws(DiskError) {
    try await fenced(life, "rename", name) { () throws(DiskError) in
      try await base.rename(name, to: newName)
    }
  }

  package func syncDirectory() async throws(DiskError) {
    try await fenced(life, "syncDirectory", "") { () throws(DiskError) in
      try await base.syncDirectory()
    }
  }

  package func space() async throws(DiskError) -> DiskSpace {
    try await fenced(life, "space", "") { () throws(DiskError) in try await base.space() }
  }
}

private struct FencedFile: DiskFile {
  let base: any DiskFile
  let life: ProcessLife

  var name: String { base.name }

  func byteCount() async throws(DiskError) -> Int {
    try await fenced(life, "size", name) { () throws(DiskError) in try await base.byteCount() }
  }

  func read(at offset: Int, count: Int) async throws(DiskError) -> [UInt8] {
    try await fenced(life, "read", name) { () throws(DiskError) in
      try await base.read(at: offset, count: count)
    }
  }

  func write(_ buffers: [[UInt8]], at offset: Int) async throws(DiskError) {
    try await fenced(life, "write", name) { () throws(DiskError) in
      try await base.write(buffers, at: offset)
    }
  }

  func truncate(to byteCount: Int) async throws(DiskError) {
    try await fenced(life, "truncate", name) { () throws(DiskError) in
      try await base.truncate(to: byteCount)
    }
  }

  func sync() async throws(DiskError) {
    try await fenced(life, "sync", name) { () throws(DiskError) in try await base.sync() }
  }
}

/// Does it in the name of a living process, and hides from a dead one how it went.
private func fenced<Value: Sendable>(
  _ life: ProcessLife, _ operation: String, _ file: String,
  _ body: () async throws(DiskError) -> Value
) async throws(DiskError) -> Value {
  let refusal = DiskError.failed(file: file, operation: operation, code: 5)
  guard life.isAlive else { throw refusal }
  let result: Result<Value, DiskError> = await SeamOwner.$life.withValue(life) {
    do throws(DiskError) { return .success(try await body()) } catch { return .failure(error) }
  }
  guard life.isAlive else { throw refusal }
  return try result.get()
}
