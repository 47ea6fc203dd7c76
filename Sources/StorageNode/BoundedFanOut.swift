// BoundedFanOut.swift
//
// The same asynchronous work for many items, a few at a time.

/// Results in the order of the items; at most `width` run at once. The first error cancels the rest.
func fanOut<Value: Sendable>(
  count: Int, width: Int, _ work: @escaping @Sendable (Int) async throws -> Value
) async throws -> [Value] {
  guard count > 1 else { return count == 1 ? [try await work(0)] : [] }
  return try await withThrowingTaskGroup(of: (Int, Value).self) { group in
    var results = [Value?](repeating: nil, count: count)
    var started = 0
    while started < min(count, max(width, 1)) {
      let index = started
      group.addTask { (index, try await work(index)) }
      started += 1
    }
    while let (finished, value) = try await group.next() {
      results[finished] = value
      guard started < count else { continue }
      let index = started
      group.addTask { (index, try await work(index)) }
      started += 1
    }
    return results.compactMap(\.self)
  }
}
