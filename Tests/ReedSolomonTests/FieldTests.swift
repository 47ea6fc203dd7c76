// FieldTests.swift
//
// The field of RS2 against the reference's tables, and the identities that the transforms rely on.

import RunSeed
import Testing

@testable import ReedSolomon

@Suite struct FieldTests {
  let tables = FieldTables.shared

  private func tableHash(_ words: some Sequence<UInt16>) -> String {
    digestHex(words.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] })
  }

  @Test func `whole tables have the hashes of the reference`() throws {
    let vectors = try VectorFile.decode(FieldVectors.self, from: "gf")
    #expect(tableHash(tables.exp) == vectors.exp_hash)
    #expect(tableHash(tables.log) == vectors.log_hash)
    #expect(tableHash((0..<65535).map(tables.skew)) == vectors.skew_hash)
    #expect(tableHash(WalshTransform.transformedLogs(size: 65536)) == vectors.log_walsh_hash)
  }

  @Test func `table samples and products are those of the reference`() throws {
    let vectors = try VectorFile.decode(FieldVectors.self, from: "gf")
    for sample in vectors.exp { #expect(Int(tables.exp[sample[0]]) == sample[1]) }
    for sample in vectors.log { #expect(Int(tables.log[sample[0]]) == sample[1]) }
    for sample in vectors.skew { #expect(Int(tables.skew(sample[0])) == sample[1]) }
    let walsh = Array(WalshTransform.transformedLogs(size: 65536))
    for sample in vectors.log_walsh { #expect(Int(walsh[sample[0]]) == sample[1]) }
    for product in vectors.products_a_b_ab {
      #expect(tables.multiply(product[0], product[1]) == product[2])
    }
    let counts = [vectors.exp, vectors.log, vectors.skew, vectors.log_walsh].map(\.count)
    print("gf.json: 4 hashes, samples \(counts), \(vectors.products_a_b_ab.count) products")
  }

  @Test func `the square of x plus x is x shifted right`() {
    for x in UInt16.min...UInt16.max {
      guard tables.multiply(x, x) ^ x == x >> 1 else {
        Issue.record("x = \(x)")
        return
      }
    }
  }

  @Test func `the twiddle of a group is its point divided by the distance`() {
    for exponent in 0..<16 {
      let distance = 1 << exponent
      for point in stride(from: 0, to: 65536, by: 2 * distance).prefix(600) {
        let log = tables.skew(point + distance - 1)
        let twiddle = log == FieldTables.modulus ? 0 : tables.exp[Int(log)]
        #expect(Int(twiddle) == point / distance)
      }
    }
  }

  @Test func `the Walsh transform of a prefix is the transform of its length`() {
    for size in [1, 2, 64, 1024] {
      var values = Array(tables.log[..<size])
      values[0] = 0
      WalshTransform.apply(to: &values)
      expectEqual(values, Array(WalshTransform.transformedLogs(size: size)))
    }
  }

  // The log of the product of (p xor q) over all erased q, up to a constant for all p.
  @Test(arguments: [(3, 4), (5, 2), (34, 66), (67, 33), (24, 200)])
  func `the erasure locator is the sum of logs of differences`(k: Int, m: Int) throws {
    let code = try ReedSolomonCode(sourceCount: k, repairCount: m)
    let points = CodePoints(code)
    var generator = Dice(seed: UInt64(1000 * k + m))
    var isPresent = [Bool](repeating: false, count: k + m)
    for index in (0..<k + m).shuffled(using: &generator).prefix(k) { isPresent[index] = true }
    let locator = ErasureLocator(points: points, isPresent: isPresent)
    let erased = (0..<k + m).filter { !isPresent[$0] }.map(points.point)
    let unknown = Array(points.unknownPoints)
    for point in 0..<points.size {
      let sum = (erased + unknown).filter { $0 != point }
        .reduce(0) { $0 + Int(tables.log[point ^ $1]) }
      #expect(Int(locator.logs[point]) % 65535 == sum % 65535)
    }
  }
}
