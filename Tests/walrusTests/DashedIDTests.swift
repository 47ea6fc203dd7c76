// DashedIDTests.swift

import Testing

@testable import walrus

@Suite struct DashedIDTests {
  static let blob = "-" + String(repeating: "A", count: 42)
  /// Columns 1 to 2 of that blob.
  static let patch = "-" + String(repeating: "A", count: 42) + "BAQACAA"

  @Test(arguments: [
    (["read", blob, "--out", "x"], ["read", "--out", "x", "--", blob]),
    (
      ["read-quilt", "--quilt-id", blob, "--out", "x"],
      ["read-quilt", "--quilt-id=\(blob)", "--out", "x"]
    ),
    (
      ["read-quilt", "--quilt-patch-ids", "a", patch, "--json"],
      ["read-quilt", "--quilt-patch-ids=a", "--quilt-patch-ids=\(patch)", "--json"]
    ),
    (["store", "-", "-v"], ["store", "-", "-v"]),
    (["delete", "--", blob], ["delete", "--", blob]),
    (["read-quilt", "--quilt-id"], ["read-quilt", "--quilt-id"]),
    ([], []),
  ])
  func `IDs that begin with a dash are put where they can only be IDs`(
    given: [String], expected: [String]
  ) {
    #expect(DashedIDs.protected(given) == expected)
  }
}
