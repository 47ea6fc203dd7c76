// ReedSolomonError.swift
//
// Why a code, an encoding or a decoding was refused. Nothing is written to the output before the
// arguments have been checked.

package enum ReedSolomonError: Error, Equatable, Sendable {
  /// Both counts must be at least 1 and together fit into 65536 evaluation points.
  case unsupportedShape(sourceCount: Int, repairCount: Int)
  /// Symbols have an even number of bytes, at least 2.
  case symbolByteCountInvalid(Int)
  /// A number of codewords is not negative.
  case codewordCountInvalid(Int)
  /// The buffer ends before the last symbol that its strides lead to, or a stride is negative.
  /// Give a buffer of at least `required` bytes (nil: no buffer can be that large).
  case bufferTooSmall(byteCount: Int, required: Int?)
  /// The source of one codeword is exactly `required` bytes: its symbols one after the other.
  case byteCountMismatch(byteCount: Int, required: Int)
  /// Ask for a range within 0 ..< repairCount.
  case repairRangeInvalid(Range<Int>, repairCount: Int)
  /// Repair symbols are counted from zero, apart from the sources.
  case repairIndexInvalid(Int, repairCount: Int)
  /// Symbol indices are below `symbolCount`.
  case symbolIndexInvalid(Int, symbolCount: Int)
  /// The same symbol was given twice; drop one.
  case symbolRepeated(Int)
  /// Decoding takes exactly `required` symbols. With fewer, fetch more; with more, drop some: which
  /// ones decides the result when they contradict each other.
  case symbolCountMismatch(received: Int, required: Int)
}

extension ReedSolomonError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .unsupportedShape(let sourceCount, let repairCount):
      "no Reed-Solomon code has \(sourceCount) source and \(repairCount) repair symbols: both must"
        + " be at least 1 and fit into 65536 points together"
    case .symbolByteCountInvalid(let count):
      "a symbol of \(count) bytes is not possible: use an even number, at least 2"
    case .codewordCountInvalid(let count):
      "\(count) codewords are not possible: use 0 or more"
    case .bufferTooSmall(let byteCount, let required):
      "a buffer of \(byteCount) bytes is too small for its symbols: they reach to "
        + (required.map { "byte \($0)" } ?? "beyond all memory") + "; strides must not be negative"
    case .byteCountMismatch(let byteCount, let required):
      "got \(byteCount) bytes of symbols where one codeword takes exactly \(required)"
    case .repairRangeInvalid(let range, let repairCount):
      "repair symbols \(range) do not exist: the code has \(repairCount)"
    case .repairIndexInvalid(let index, let repairCount):
      "repair symbol \(index) does not exist: the code has \(repairCount), counted from 0"
    case .symbolIndexInvalid(let index, let symbolCount):
      "symbol \(index) does not exist: the code has \(symbolCount)"
    case .symbolRepeated(let index):
      "symbol \(index) was given twice: drop one"
    case .symbolCountMismatch(let received, let required):
      "decoding takes exactly \(required) symbols, got \(received): "
        + (received < required ? "fetch more" : "drop some")
    }
  }
}
