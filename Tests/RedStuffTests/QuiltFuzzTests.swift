// QuiltFuzzTests.swift
//
// A quilt may come from anyone: damaged indexes, patches and IDs are refused or read, and never trap.
// What is read has one form only. The seed is printed when an expectation fails.

import RunSeed
import Testing

@testable import RedStuff

@Suite struct QuiltFuzzTests {
  static let seed: UInt64 = 0x9011
  static let roundCount = 3000

  private let parameters: EncodingParameters
  private let built: BuiltQuilt
  private let patches: [QuiltPatch]

  init() throws {
    parameters = try EncodingParameters(shardCount: 10)
    patches = try (0..<5).map { number in
      QuiltPatch(
        identifier: try QuiltIdentifier("patch-\(number)"),
        tags: number.isMultiple(of: 2)
          ? .none : try QuiltTags([QuiltTag(name: "n", value: "\(number)")]),
        data: generatedBytes(seed: UInt64(number), count: 40 * number))
    }
    built = try BuiltQuilt(patches, parameters: parameters)
  }

  private func damaged(_ good: [UInt8], _ dice: inout Dice) -> [UInt8] {
    var bytes = good
    switch dice.below(4) {
    case 0: return Array(good.prefix(dice.below(good.count + 1)))
    case 1: return good + generatedBytes(seed: dice.next(), count: 1 + dice.below(8))
    case 2: bytes[dice.below(bytes.count)] = UInt8(truncatingIfNeeded: dice.next())
    default:
      for _ in 0...dice.below(3) { bytes[dice.below(bytes.count)] ^= 1 << UInt8(dice.below(8)) }
    }
    return bytes
  }

  @Test func `index streams`() {
    var dice = Dice(seed: Self.seed)
    let good = built.index.streamBytes
    var refusedCount = 0
    for round in 0..<Self.roundCount {
      let input = damaged(good, &dice)
      do {
        let index = try QuiltIndex(stream: input, shape: built.shape)
        let again = index.streamBytes
        #expect(again == Array(input.prefix(again.count)), "seed \(Self.seed) round \(round)")
        #expect(
          index.entries.allSatisfy { !$0.columns.isEmpty && $0.columns.upperBound <= 7 },
          "seed \(Self.seed) round \(round)")
      } catch {
        refusedCount += 1
      }
    }
    #expect(refusedCount > Self.roundCount / 4 && refusedCount < Self.roundCount)
  }

  @Test func `patch streams`() {
    var dice = Dice(seed: Self.seed)
    var refusedCount = 0
    for round in 0..<Self.roundCount {
      let patch = patches[dice.below(patches.count)]
      let input = damaged(patch.header.bytes + patch.data, &dice)
      do {
        let read = try QuiltPatch(columns: input)
        let end = 6 + input[1..<5].reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(
          read.data == input[..<end].suffix(read.data.count), "seed \(Self.seed) round \(round)")
        // A mask with tags but none in them is another form of the same patch.
        guard !(read.tags.isEmpty && input[5] == 1) else { continue }
        let again = read.header.bytes + read.data
        #expect(again == Array(input.prefix(again.count)), "seed \(Self.seed) round \(round)")
      } catch {
        refusedCount += 1
      }
    }
    #expect(refusedCount > Self.roundCount / 4 && refusedCount < Self.roundCount)
  }

  @Test func `whole quilts`() {
    var dice = Dice(seed: Self.seed)
    var readCount = 0
    for _ in 0..<Self.roundCount {
      var blob = built.blob
      for _ in 0...dice.below(3) { blob[dice.below(blob.count)] ^= 1 << UInt8(dice.below(8)) }
      guard let reader = try? QuiltReader(blob, parameters: parameters) else { continue }
      for entry in reader.index.entries where (try? reader.patch(entry)) != nil { readCount += 1 }
    }
    #expect(readCount > 0)
  }

  @Test func `quilt metadata`() throws {
    var dice = Dice(seed: Self.seed)
    let encoded = try BlobEncoder.encodeSerially(built.blob, parameters: parameters)
    let good = QuiltMetadata(
      quilt: encoded.blobID, metadata: encoded.metadata.metadata, index: built.index
    ).bcsBytes
    var refusedCount = 0
    for round in 0..<Self.roundCount {
      let input = damaged(good, &dice)
      do {
        let bytes = try QuiltMetadata(bcs: input).bcsBytes
        #expect(bytes == input, "seed \(Self.seed) round \(round)")
      } catch {
        refusedCount += 1
      }
    }
    #expect(refusedCount > Self.roundCount / 4 && refusedCount < Self.roundCount)
  }

  @Test func `patch IDs`() {
    var dice = Dice(seed: Self.seed)
    let good = QuiltPatchID(quilt: BlobID(Digest(hashing: [3])), columns: 1..<4)
    var refusedCount = 0
    for round in 0..<Self.roundCount {
      let bytes = damaged(good.bytes, &dice)
      let text = String(decoding: damaged(Array(good.text.utf8), &dice), as: UTF8.self)
      do {
        #expect(try QuiltPatchID(bytes: bytes).bytes == bytes, "seed \(Self.seed) round \(round)")
      } catch {
        refusedCount += 1
      }
      if let id = try? QuiltPatchID(text: text) {
        #expect(id.text == text, "seed \(Self.seed) round \(round)")
      }
    }
    #expect(refusedCount > Self.roundCount / 4 && refusedCount < Self.roundCount)
  }

  @Test func `any patches come back from the quilt they make`() throws {
    var dice = Dice(seed: Self.seed)
    for round in 0..<60 {
      let parameters = try EncodingParameters(shardCount: 4 + dice.below(40))
      let count = dice.below(parameters.secondarySourceCount)
      let patches = try (0..<count).map { number in
        QuiltPatch(
          identifier: try QuiltIdentifier("\(dice.next())-\(number)"),
          tags: try QuiltTags(
            (0..<dice.below(3)).map { QuiltTag(name: "t\($0)", value: "\(dice.below(9))") }),
          data: generatedBytes(seed: dice.next(), count: dice.below(1 << dice.below(12))))
      }
      let built = try BuiltQuilt(patches, parameters: parameters)
      let encodedSymbol = try parameters.symbolByteCount(forBlobOf: UInt64(built.blob.count))
      #expect(encodedSymbol == built.shape.symbolByteCount, "seed \(Self.seed) round \(round)")
      let reader = try QuiltReader(built.blob, parameters: parameters)
      for patch in patches {
        let read = try reader.patch(identifiedBy: patch.identifier)
        #expect(read == patch, "seed \(Self.seed) round \(round)")
      }
    }
  }
}
