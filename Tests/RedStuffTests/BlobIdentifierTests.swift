// BlobIdentifierTests.swift
//
// Blob IDs of blobs that are read strip by strip.

import RunSeed
import Synchronization
import Testing

@testable import RedStuff

@Suite struct BlobIdentifierTests {
  private struct ReadFailure: Error {}

  private func identify(
    _ blob: [UInt8], _ parameters: EncodingParameters, stripByteCount: Int,
    source: BlobIdentifier.Source? = nil
  ) throws -> VerifiedBlobMetadata {
    let identifier = try BlobIdentifier(
      blobByteCount: UInt64(blob.count), parameters: parameters, stripByteCount: stripByteCount,
      source: source ?? { offset, bytes in
        for index in bytes.indices { bytes[index] = blob[Int(offset) + index] }
      })
    for phase in identifier.phases { phase.runSerially() }
    return try identifier.finish()
  }

  // Symbols of less than a strip, exactly one, some bytes more, many; blobs that end in every strip.
  @Test(arguments: [4, 7, 10, 16, 31])
  func `strips of any width name the blob that the encoder names`(n: Int) throws {
    let parameters = try EncodingParameters(shardCount: n)
    var dice = Dice(seed: UInt64(n))
    for symbolByteCount in [2, 126, 128, 130, 256, 258, 384, 650, 1024] {
      let whole = parameters.sourceSymbolCount * symbolByteCount
      for byteCount in [whole, whole - 1, whole - dice.below(whole / 2), whole / 2 + 1] {
        let blob = generatedBytes(seed: dice.next(), count: byteCount)
        let expected = try BlobEncoder.encodeSerially(blob, parameters: parameters).metadata
        for width in [128, 256, 384, 4096] {
          #expect(
            try identify(blob, parameters, stripByteCount: width) == expected,
            "n=\(n), \(byteCount) bytes, strips of \(width)")
        }
      }
    }
  }

  @Test func `an empty blob has a name and nothing is read`() throws {
    let parameters = try EncodingParameters(shardCount: 10)
    let metadata = try identify([], parameters, stripByteCount: 4096) { _, _ in
      throw ReadFailure()
    }
    #expect(metadata == (try BlobEncoder.encodeSerially([], parameters: parameters)).metadata)
  }

  @Test func `every byte is read exactly once, and none behind the end`() throws {
    let parameters = try EncodingParameters(shardCount: 10)
    let blob = generatedBytes(seed: 3, count: parameters.sourceSymbolCount * 700 - 1000)
    let reads = Mutex([Int](repeating: 0, count: blob.count))
    _ = try identify(blob, parameters, stripByteCount: 128) { offset, bytes in
      for index in bytes.indices {
        bytes[index] = blob[Int(offset) + index]
        reads.withLock { $0[Int(offset) + index] += 1 }
      }
    }
    #expect(reads.withLock { $0.allSatisfy { $0 == 1 } })
  }

  @Test func `what the source throws comes out`() throws {
    let parameters = try EncodingParameters(shardCount: 10)
    let blob = [UInt8](repeating: 7, count: 50_000)
    #expect(throws: ReadFailure.self) {
      try identify(blob, parameters, stripByteCount: 128) { offset, _ in
        if offset > 20_000 { throw ReadFailure() }
      }
    }
  }

  @Test func `a blob that no symbol size fits is refused`() throws {
    let parameters = try EncodingParameters(shardCount: 4)
    let byteCount = parameters.blobByteCountMax + 1
    #expect(
      throws: EncodingParametersError.blobTooLarge(
        byteCount: byteCount, byteCountMax: parameters.blobByteCountMax)
    ) {
      try BlobIdentifier(blobByteCount: byteCount, parameters: parameters) { _, _ in }
    }
  }

  // 4 GiB at a thousand shards has to be named within 1 GiB; what one job needs is small beside it.
  @Test func `the strips of a thousand shards take less than a gigabyte`() throws {
    let parameters = try EncodingParameters(shardCount: 1000)
    let cells = 1000 * parameters.secondarySourceCount
    let width = BlobIdentifier.matrixByteCountMax / cells / 128 * 128
    #expect(width >= 512)
    let states = MatrixHasher.memoryByteCount(parameters: parameters, inStrips: true)
    #expect(cells * width + states < 800 << 20)
  }
}
