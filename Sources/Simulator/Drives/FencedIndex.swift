// FencedIndex.swift
//
// An index as one process sees it: once the process has ended, nothing that is left of it changes
// the index or learns from it (see FencedDisk.swift).

internal import Synchronization
package import World

package struct FencedIndex: Index {
  private let base: any Index
  private let life: ProcessLife

  package init(_ base: any Index, life: ProcessLife) {
    self.base = base
    self.life = life
  }

  package func values(for keys: [[UInt8]]) async throws(IndexError) -> [[UInt8]?] {
    try await fenced { () throws(IndexError) in try await base.values(for: keys) }
  }

  package func entries(from lower: [UInt8], below upper: [UInt8], limit: Int)
    async throws(IndexError) -> [IndexEntry]
  {
    try await fenced { () throws(IndexError) in
      try await base.entries(from: lower, below: upper, limit: limit)
    }
  }

  package func apply(_ changes: [IndexChange]) async throws(IndexError) {
    try await fenced { () throws(IndexError) in try await base.apply(changes) }
  }

  package func removeAll() async throws(IndexError) {
    try await fenced { () throws(IndexError) in try await base.removeAll() }
  }

  private func fenced<Value: Sendable>(_ body: () async throws(IndexError) -> Value)
    async throws(IndexError) -> Value
  {
    let refusal = IndexError("the process \(life.name) has ended")
    guard life.isAlive else { throw refusal }
    let result: Result<Value, IndexError> = await SeamOwner.$life.withValue(life) {
      do throws(IndexError) { return .success(try await body()) } catch { return .failure(error) }
    }
    guard life.isAlive else { throw refusal }
    return try result.get()
  }
}
