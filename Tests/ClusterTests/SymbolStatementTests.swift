// SymbolStatementTests.swift
//
// A statement convicts only who signed it, only of what it said, and only if that is false.

import Cluster
import RedStuff
import Testing

@Suite struct SymbolStatementTests {
  let cluster = ClusterID(Array(repeating: 7, count: 32))
  let blob: EncodedBlob
  let signer: NodeSigner
  let item: ReadItem
  let proven: ProvenSymbols

  init() throws {
    blob = try BlobEncoder.encodeSerially(
      Array(0..<200), parameters: EncodingParameters(shardCount: 7))
    signer = try NodeSigner(node: NodeID(3), privateKey: Array(repeating: 5, count: 32))
    let pair = SliverPairIndex(2)
    item = ReadItem(
      blob: blob.blobID, pair: pair, axis: .secondary, symbols: 2..<6, wantsPaths: true,
      wantsSignature: true)
    proven = try blob.sliver(.secondary, pair.sliver(.secondary, shardCount: 7))
      .expanded(parameters: blob.parameters).provenSymbols(at: Array(2..<6))
  }

  private func statement(_ bytes: [UInt8]? = nil) throws -> SymbolStatement {
    signer.statement(
      on: item, bytes: bytes ?? proven.bytes, paths: proven.paths, cluster: try #require(cluster))
  }

  @Test func `the truth is signed and not refuted`() throws {
    let statement = try statement()
    #expect(statement.verify(cluster: try #require(cluster), publicKey: signer.publicKey))
    #expect(!statement.isRefuted(by: blob.metadata))
    #expect(try SymbolStatement(bcs: statement.bcsBytes) == statement)
  }

  @Test func `a wrong bit, a path of another place, and a byte too few are refuted`() throws {
    var bytes = proven.bytes
    bytes[bytes.count - 1] ^= 1
    var lies = [try statement(bytes), try statement(Array(proven.bytes.dropLast()))]
    lies.append(
      signer.statement(
        on: item, bytes: proven.bytes, paths: Array(proven.paths.reversed()),
        cluster: try #require(cluster)))
    for lie in lies {
      #expect(lie.verify(cluster: try #require(cluster), publicKey: signer.publicKey))
      #expect(lie.isRefuted(by: blob.metadata))
    }
  }

  @Test func `no part of it can be changed, and no other cluster or key vouches for it`() throws {
    let cluster = try #require(cluster)
    let statement = try statement()
    let encoded = statement.bcsBytes
    for place in encoded.indices {
      var changed = encoded
      changed[place] ^= 1
      // Some changes are no statement any more.
      guard let other = try? SymbolStatement(bcs: changed) else { continue }
      #expect(!other.verify(cluster: cluster, publicKey: signer.publicKey), "byte \(place)")
    }
    let stranger = try NodeSigner(node: NodeID(3), privateKey: Array(repeating: 6, count: 32))
    #expect(!statement.verify(cluster: cluster, publicKey: stranger.publicKey))
    let elsewhere = try #require(ClusterID(Array(repeating: 8, count: 32)))
    #expect(!statement.verify(cluster: elsewhere, publicKey: signer.publicKey))
  }

  @Test func `what speaks of another blob is not refuted by this one's metadata`() throws {
    var statement = try statement()
    statement.blob = BlobID(.zero)
    #expect(!statement.isRefuted(by: blob.metadata))
    statement.blob = blob.blobID
    statement.pair = SliverPairIndex(7)
    #expect(!statement.isRefuted(by: blob.metadata))
  }

  // Whatever bytes come, decoding ends in a statement or an error.
  @Test func `cut and changed encodings do not trap`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var dice = Dice(seed: seed)
    let encoded = try statement().bcsBytes
    for length in encoded.indices {
      #expect(throws: BCSError.self) { try SymbolStatement(bcs: Array(encoded[..<length])) }
    }
    for _ in 0..<2000 {
      var changed = encoded
      for _ in 0...dice.below(4) { changed[dice.below(changed.count)] = UInt8(dice.below(256)) }
      if let statement = try? SymbolStatement(bcs: changed) {
        _ = statement.isRefuted(by: blob.metadata)
        #expect(try SymbolStatement(bcs: statement.bcsBytes) == statement)
      }
    }
  }
}
