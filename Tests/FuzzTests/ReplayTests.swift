// ReplayTests.swift
//
// Everything that fuzzing found worth keeping, once more: inputs that reach different code, and those
// that broke something once. `make fuzz` finds new ones; Corpus has a folder for each target.

import Foundation
import FuzzTargets
import Testing

@Suite struct ReplayTests {
  private static let targets = FuzzTarget.all.map(\.name)

  private func target(_ name: String) throws -> FuzzTarget {
    try #require(FuzzTarget.all.first { $0.name == name })
  }

  private func corpus() throws -> URL {
    try #require(Bundle.module.url(forResource: "Corpus", withExtension: nil))
  }

  @Test(arguments: targets)
  func `seeds are accepted`(name: String) async throws {
    let target = try target(name)
    for seed in try target.seeds() {
      let verdict = try await target.check(seed)
      #expect(verdict == .accepted, "\(seed)")
      #expect(seed.count <= target.inputByteCountMax)
    }
  }

  @Test(arguments: targets)
  func `the corpus keeps every property`(name: String) async throws {
    let target = try target(name)
    let folder = try corpus().appendingPathComponent(name)
    let files = try FileManager.default.contentsOfDirectory(
      at: folder, includingPropertiesForKeys: nil)
    #expect(!files.isEmpty)
    for file in files.sorted(by: { $0.path < $1.path }) {
      do {
        _ = try await target.check([UInt8](Data(contentsOf: file)))
      } catch {
        Issue.record("\(name)/\(file.lastPathComponent): \(error)")
      }
    }
  }

  // Every front of every seed, and every seed with one byte changed: what a corpus need not hold.
  @Test(arguments: targets)
  func `seeds cut short or changed keep every property`(name: String) async throws {
    let target = try target(name)
    for seed in try target.seeds() {
      for position in stride(from: 0, to: seed.count, by: max(1, seed.count / 60)) {
        _ = try await target.check(Array(seed[..<position]))
        var changed = seed
        changed[position] = changed[position] &+ (position.isMultiple(of: 2) ? 1 : 0x80)
        _ = try await target.check(changed)
      }
    }
  }

  @Test func `every folder of the corpus has its target`() throws {
    let folders = try FileManager.default.contentsOfDirectory(atPath: corpus().path)
    #expect(Set(folders) == Set(Self.targets))
    #expect(Set(Self.targets).count == Self.targets.count)
  }
}
