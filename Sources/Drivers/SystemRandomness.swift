// SystemRandomness.swift
//
// The system's random numbers; nobody outside can predict them.

internal import World

package struct SystemRandomness: Randomness {
  package init() {}

  package func next() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
  }
}
