// LittleEndian.swift
//
// Fixed-width integers in byte arrays: little-endian in segments and markers, big-endian in index
// keys, where order matters.

extension [UInt8] {
  mutating func append(littleEndian value: some FixedWidthInteger) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) {
      append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  mutating func append(bigEndian value: some FixedWidthInteger) {
    for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
      append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }

  /// The integer at `offset`; the caller has checked that its bytes exist.
  func littleEndian<Value: FixedWidthInteger>(_: Value.Type = Value.self, at offset: Int) -> Value {
    var value: Value = 0
    for position in (0..<Value.bitWidth / 8).reversed() {
      value = value << 8 | Value(truncatingIfNeeded: self[offset + position])
    }
    return value
  }

  func bigEndian<Value: FixedWidthInteger>(_: Value.Type = Value.self, at offset: Int) -> Value {
    var value: Value = 0
    for position in 0..<Value.bitWidth / 8 {
      value = value << 8 | Value(truncatingIfNeeded: self[offset + position])
    }
    return value
  }
}
