// LevelTests.swift
//
// Which levels this CPU has, and what the level functions say about them.

import CKernels
import Testing

/// The levels that this CPU can run, scalar first.
let supportedLevels = [CK_LEVEL_SCALAR, CK_LEVEL_AVX2, CK_LEVEL_AVX512, CK_LEVEL_GFNI]
  .filter(ck_level_supported)

/// Bytes that differ from each other, the same in every run.
func testBytes(count: Int, seed: UInt64 = 1) -> [UInt8] {
  var state = seed
  return (0..<count).map { _ in
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return UInt8(truncatingIfNeeded: state >> 33)
  }
}

/// Expects two arrays to be equal and names the first difference. `#expect(a == b)` would work out
/// and print all differences, which takes minutes for arrays of this size.
func expectEqual<Element: Equatable>(
  _ found: [Element], _ expected: [Element], _ label: @autoclosure () -> String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  if found == expected { return }
  let index = zip(found, expected).enumerated().first { $1.0 != $1.1 }?.offset
  let place = index.map { "entry \($0) on" } ?? "the end of the shorter one on"
  Issue.record(
    "\(found.count) found, \(expected.count) expected, different from \(place); \(label())",
    sourceLocation: sourceLocation)
}

@Suite struct LevelTests {
  @Test func `the scalar level is always there`() {
    #expect(ck_level_supported(CK_LEVEL_SCALAR))
  }

  @Test func `the level in use is one that the CPU has`() {
    #expect(ck_level_supported(ck_level_in_use()))
  }

  @Test func `every level has its name`() {
    let names = (0...4).map { unsafe String(cString: ck_level_name(ck_level($0))) }
    #expect(names == ["scalar", "avx2", "avx512", "gfni", "unknown"])
  }

  // Scripts/test reads these two lines: which levels to run, and whether a run was at its level.
  @Test func `the level that the environment asks for is in use`() {
    let names = supportedLevels.map { unsafe String(cString: ck_level_name($0)) }
    print("levels here: \(names.joined(separator: " "))")
    print("level in use: \(unsafe String(cString: ck_level_name(ck_level_in_use())))")
    #expect([CK_REQUEST_NONE, CK_REQUEST_HONOURED].contains(ck_level_request_result()))
  }

  @Test func `WALRUS_CPU is obeyed, or its refusal reported and the best level taken`() {
    var level = CK_LEVEL_SCALAR
    #expect(unsafe ck_level_choose(nil, &level) == CK_REQUEST_NONE)
    let best = level
    #expect(best == supportedLevels.last)
    #expect(unsafe ck_level_choose("", &level) == CK_REQUEST_NONE)
    #expect(level == best)
    for unknown in ["sse9", "AVX2", "unknown", "gfni "] {
      level = CK_LEVEL_SCALAR
      #expect(unsafe ck_level_choose(unknown, &level) == CK_REQUEST_UNKNOWN)
      #expect(level == best)
    }
    for number in 0..<UInt32(CK_LEVEL_COUNT) {
      let wanted = ck_level(number)
      let supported = supportedLevels.contains(wanted)
      let result = unsafe ck_level_choose(ck_level_name(wanted), &level)
      #expect(result == (supported ? CK_REQUEST_HONOURED : CK_REQUEST_UNSUPPORTED))
      #expect(level == (supported ? wanted : best))
    }
  }
}
