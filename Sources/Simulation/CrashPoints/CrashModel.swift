// CrashModel.swift
//
// What a store must say of a few slivers, as far as its answers so far oblige it; and the slivers,
// whose bytes follow from their names.

internal import RedStuff
internal import Simulator
internal import SliverStore
internal import World

struct CrashModel: Sendable {
  static let blobCount = 6
  static let pairCount = 6

  /// Everything that may be stored.
  static let universe = (0..<blobCount).flatMap { keys($0) }

  var present: Set<SliverKey> = []
  /// What an operation was to store or delete that never answered.
  var uncertain: Set<SliverKey> = []
  /// Of those, what one opening may find and the next not, because rot hides it or brings it back.
  var wavering: Set<SliverKey> = []
  var values: Set<[UInt8]?> = [nil]

  mutating func begin(_ keys: [SliverKey]) { uncertain.formUnion(keys) }

  mutating func finish(_ keys: [SliverKey], present isPresent: Bool) {
    uncertain.subtract(keys)
    wavering.subtract(keys)
    if isPresent { present.formUnion(keys) } else { present.subtract(keys) }
  }

  mutating func waver(_ keys: [SliverKey]) {
    begin(keys)
    wavering.formUnion(keys)
  }

  static func blob(_ number: Int) -> BlobID {
    let bytes = [UInt8(number)] + [UInt8](repeating: 0xB1, count: BlobID.byteCount - 1)
    guard let blob = BlobID(bytes: bytes) else { preconditionFailure("\(bytes) is no blob ID") }
    return blob
  }

  static func keys(_ blob: Int, _ pairs: Range<Int> = 0..<pairCount) -> [SliverKey] {
    pairs.map {
      SliverKey(
        blob: Self.blob(blob), pair: SliverPairIndex(UInt16($0)),
        axis: $0.isMultiple(of: 2) ? .primary : .secondary)
    }
  }

  static func bytes(_ key: SliverKey) -> [UInt8] {
    let seed = UInt64(key.blob.bytes[0]) << 32 | UInt64(key.pair.value)
    // Below and above one sector, so that records begin and end anywhere in one.
    return SeededRandomness(seed: seed).bytes(count: 100 * (3 + Int(key.pair.value)))
  }

  static func record(_ key: SliverKey) -> StoreRecord {
    .sliver(key, symbolByteCount: 100, bytes: bytes(key))
  }

  static func name(_ key: SliverKey) -> String {
    "sliver \(key.pair.value) of \(key.blob.bytes[0])"
  }
}

/// What a store answered to everything it may be asked.
struct CrashAnswers: Equatable {
  /// Of `CrashModel.universe`: what could be read.
  var stored: [Bool] = []
  var value: [UInt8]?

  /// What `later` says differently, if anything.
  func difference(to later: CrashAnswers) -> String? {
    for (position, key) in CrashModel.universe.enumerated()
    where stored[position] != later.stored[position] {
      let name = CrashModel.name(key)
      return later.stored[position]
        ? "\(name) was missing after the first opening and is back"
        : "\(name) was there after the first opening and is missing"
    }
    return value == later.value
      ? nil : "the value was \(Self.text(value)) and is \(Self.text(later.value))"
  }

  private static func text(_ value: [UInt8]?) -> String { value.map { "\($0)" } ?? "none" }
}

/// Something that must not be.
struct CrashViolation: Error {
  var text: String

  init(_ text: String) { self.text = text }
}

extension CrashModel {
  /// Asks for everything.
  ///
  /// - Throws: `CrashViolation` if an answer is not what it may be.
  func check(_ store: SliverStore) async throws -> CrashAnswers {
    var answers = CrashAnswers()
    let contained = try await store.contains(Self.universe)
    for (key, isContained) in zip(Self.universe, contained) {
      let found = try await store.sliver(key)
      try check(key, found.map { ($0.symbolByteCount, $0.bytes) })
      // A rotten one is known until somebody reads it.
      guard isContained == (found != nil) || uncertain.contains(key) else {
        throw CrashViolation("\(Self.name(key)) is in the index and not on the drive")
      }
      answers.stored.append(found != nil && !wavering.contains(key))
    }
    answers.value = try await store.value(for: "cursor")
    guard values.contains(answers.value) else {
      throw CrashViolation("the value is \(answers.value.map { "\($0)" } ?? "none")")
    }
    return answers
  }

  func check(_ key: SliverKey, _ found: (symbolByteCount: Int, bytes: [UInt8])?) throws {
    if let found, found.symbolByteCount != 100 || found.bytes != Self.bytes(key) {
      throw CrashViolation("\(Self.name(key)) has wrong bytes")
    }
    guard !uncertain.contains(key) else { return }
    if found == nil, present.contains(key) {
      throw CrashViolation("\(Self.name(key)) was acknowledged and is missing")
    }
    if found != nil, !present.contains(key) {
      throw CrashViolation("\(Self.name(key)) was deleted, or never stored, and is there")
    }
  }
}
