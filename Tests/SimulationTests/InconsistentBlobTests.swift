// InconsistentBlobTests.swift
//
// What readers see of a blob whose rows and columns contradict each other, whoever of the nodes is
// out of reach. A strict read finds it out always; a whole read gives the bytes of the rows or an error,
// so that no two readers have different bytes. A read of a range need not: it takes single symbols on
// the word of their row or of their column, which is what makes it cheap.

import BlobClient
import Cluster
import ControlPlane
import RedStuff
import Simulation
import Simulator
import Testing
import World

// One test at a time: each lets time pass by waiting until nothing happens, and many at once would wait
// for each other.
@Suite(.serialized, .timeLimit(.minutes(5))) struct InconsistentBlobTests {
  static let damages: [InconsistentBlob.Damage] = [
    .row(1), .row(5), .column(0), .column(6), .symbol(row: 0, column: 3),
    .symbol(row: 2, column: 0), .allRows, .emptyPromise(.primary, 1),
    .emptyPromise(.secondary, 2),
  ]

  /// Certified, with every sliver where it belongs, as far as it can be made.
  static func stored(
    _ damage: InconsistentBlob.Damage, _ bytes: [UInt8], in cluster: LiarCluster
  ) async throws -> InconsistentBlob {
    let blob = try InconsistentBlob(bytes, damage: damage, parameters: cluster.parameters)
    let registration = try await cluster.liar.store(blob)
    #expect(registration?.isCertified == true, "\(damage)")
    return blob
  }

  @Test(arguments: damages.indices)
  func `a strict read finds a blob inconsistent, whoever is down`(index: Int) async throws {
    let cluster = try await LiarCluster(shards: 7, nodes: 7)
    try await cluster.running { _ in
      let blob = try await Self.stored(Self.damages[index], content(15 * 40), in: cluster)
      for down in [[]] + subsets(of: 7, count: 1) + subsets(of: 7, count: 2) {
        cluster.setDown(down)
        let client = cluster.client()
        let got = try await cluster.passing { await client.bytes(of: blob.blob, check: .strict) }
        #expect(got == .failure(.inconsistent(blob.blob)), "down \(down)")
      }
    }
  }

  @Test(arguments: damages.indices, [1 << 20, 200])
  func `no two whole reads give different bytes, whoever is down`(index: Int, window: Int)
    async throws
  {
    let cluster = try await LiarCluster(shards: 7, nodes: 7)
    try await cluster.running { _ in
      let bytes = content(15 * 40)
      let blob = try await Self.stored(Self.damages[index], bytes, in: cluster)
      var readCount = 0
      for count in 0...4 {
        // Beyond f a part of the sets will do.
        for (number, down) in subsets(of: 7, count: count).enumerated()
        where count <= 2 || number % 4 == index % 4 {
          cluster.setDown(down)
          let client = cluster.client { $0.windowByteCount = window }
          let got = try await cluster.passing { await client.bytes(of: blob.blob) }
          switch got {
          case .success(let got):
            readCount += 1
            #expect(got == blob.rowBytes, "down \(down)")
          case .failure(.inconsistent): break
          case .failure(let error): #expect(count > 0, "down \(down): \(error)")
          }
        }
      }
      if blob.rowBytes != nil { #expect(readCount > 0) }
    }
  }
}
