// FuzzTarget.swift
//
// One function per decoder of bytes from outside: it takes any bytes and throws when a property that
// must hold for all bytes does not. libFuzzer calls it (Fuzz/), and the tests replay with it what
// libFuzzer found worth keeping (Tests/FuzzTests/Corpus).
//
// A new target is a `FuzzTarget` in the list below; everything else finds it by its name.

/// What became of an input.
package enum Verdict: Sendable, Equatable {
  case refused
  /// Decoded, and stood every check that there is for it.
  case accepted

  init(isAccepted: Bool) { self = isAccepted ? .accepted : .refused }
}

/// A property that does not hold.
package struct Violation: Error, CustomStringConvertible {
  package let description: String
}

/// Throws unless the property holds.
func require(_ holds: Bool, _ property: @autoclosure () -> String) throws(Violation) {
  if !holds { throw Violation(description: property()) }
}

package struct FuzzTarget: Sendable {
  package let name: String
  /// Longer inputs find nothing that shorter ones do not.
  package let inputByteCountMax: Int
  /// Good inputs to start from; all are accepted.
  package let seeds: @Sendable () throws -> [[UInt8]]
  package let check: @Sendable ([UInt8]) async throws -> Verdict

  init(
    _ name: String, inputByteCountMax: Int = 2048,
    seeds: @escaping @Sendable () throws -> [[UInt8]],
    check: @escaping @Sendable ([UInt8]) async throws -> Verdict
  ) {
    self.name = name
    self.inputByteCountMax = inputByteCountMax
    self.seeds = seeds
    self.check = check
  }

  package static let all: [FuzzTarget] = [
    .metadata, .slivers, .symbols, .inconsistencyProofs, .messages, .sync, .texts,
    .certificates, .requests, .answers, .json,
    .records, .segments, .drive, .upkeep,
    .quiltIndex, .quiltPatches, .quilts, .quiltNames,
  ]
}

/// The front of an input, which steers the target, and the rest, which is what it decodes.
struct FuzzInput {
  private(set) var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  var isEmpty: Bool { rest.isEmpty }

  /// Zero behind the end.
  mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

  /// A number below `bound`.
  mutating func below(_ bound: Int) -> Int { Int(byte()) % bound }

  /// Up to `count` bytes.
  mutating func bytes(_ count: Int) -> [UInt8] {
    defer { rest = rest.dropFirst(count) }
    return Array(rest.prefix(count))
  }

  mutating func remainder() -> [UInt8] { bytes(rest.count) }
}
