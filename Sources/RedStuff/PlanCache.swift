// PlanCache.swift
//
// Decoding plans used lately. Rows of a degraded read miss the same symbols, and so do the slivers of
// a lost shard over many blobs: their plan is worked out once.
//
// A plan depends on its key alone, so whether it comes from here changes nothing but time.

internal import ReedSolomon
internal import Synchronization

enum PlanCache {
  /// More patterns than nodes fail in during a read. At n = 1000 a plan takes some 100 KiB at most.
  private static let countMax = 16
  /// Plans of larger codes would take more memory than they save time.
  private static let symbolCountMax = 4096

  private static let sourcePlans = Mutex(RecentValues<DecodePlan>(countMax: countMax))
  private static let sourcePatterns = Mutex(RecentValues<ErasurePattern>(countMax: countMax))

  /// The plan for all sources from `present`: k distinct symbols of the code.
  static func sources(of code: ReedSolomonCode, from present: [Int]) -> DecodePlan {
    value(in: sourcePlans, code, where: { $0.code == code && $0.present == present }) {
      do {
        return try DecodePlan(code: code, present: present)
      } catch {
        preconditionFailure("checked symbols are no pattern: \(error)")
      }
    }
  }

  /// The plan for any symbols from all sources, in order. Only its larger half is kept: targets vary.
  static func symbols(_ targets: [Int], ofSources code: ReedSolomonCode) -> DecodePlan {
    let pattern = value(in: sourcePatterns, code, where: { $0.code == code }) {
      ErasurePattern(sourcesOf: code)
    }
    do {
      return try DecodePlan(pattern, targets: targets)
    } catch {
      preconditionFailure("checked targets are no plan: \(error)")
    }
  }

  private static func value<Value: Sendable>(
    in recent: borrowing Mutex<RecentValues<Value>>, _ code: ReedSolomonCode,
    where isWanted: (Value) -> Bool, make: () -> Value
  ) -> Value {
    guard code.symbolCount <= symbolCountMax else { return make() }
    if let value = recent.withLock({ $0.first(where: isWanted) }) { return value }
    let value = make()
    recent.withLock { $0.insert(value) }
    return value
  }
}

/// The values used last, in the order of their use. Few enough to be looked through one by one, which
/// is faster than hashing hundreds of indices.
private struct RecentValues<Value: Sendable>: Sendable {
  let countMax: Int
  private var values: [Value] = []

  init(countMax: Int) { self.countMax = countMax }

  mutating func first(where isWanted: (Value) -> Bool) -> Value? {
    guard let place = values.firstIndex(where: isWanted) else { return nil }
    let value = values.remove(at: place)
    values.insert(value, at: 0)
    return value
  }

  mutating func insert(_ value: Value) {
    if values.count == countMax { values.removeLast() }
    values.insert(value, at: 0)
  }
}
