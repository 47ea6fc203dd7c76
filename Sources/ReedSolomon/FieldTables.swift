// FieldTables.swift
//
// The field GF(2^16) of RS2: polynomial x^16 + x^5 + x^3 + x^2 + 1, elements written over a special
// basis in which x*x + x = x >> 1. In that basis the twiddle factors of the transforms are simply
// the even numbers (see FieldKernels).
//
// Logs are modulo 65535; 65535 stands for 0 in sums, and for the factor zero in `skew`.

/// Log, exponential and Walsh tables. Built once per process, about 3 ms.
struct FieldTables: Sendable {
  static let elementCount = 65536
  /// The order of the multiplicative group, the modulus of logs.
  static let modulus: UInt16 = 65535
  static let polynomial = 0x1002D
  static let basis: [UInt16] = [
    0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012,
    0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E,
  ]

  static let shared = FieldTables()

  /// exp[log[x]] = x; one more entry, exp[65535] = exp[0], lets sums of logs stay unreduced.
  let exp: [UInt16]
  /// log[0] is 65535.
  let log: [UInt16]

  private init() {
    var log = [UInt16](repeating: 0, count: Self.elementCount)
    var exp = log
    let shiftRegisterLog = Self.shiftRegisterLogs()
    // Element x of our basis is `polynomialForm[x]` as a polynomial.
    var polynomialForm: [UInt16] = [0]
    for unit in Self.basis {
      polynomialForm += polynomialForm.map { $0 ^ unit }
    }
    for element in 0..<Self.elementCount {
      log[element] = shiftRegisterLog[Int(polynomialForm[element])]
      exp[Int(log[element])] = UInt16(element)
    }
    exp[Int(Self.modulus)] = exp[0]
    self.exp = exp
    self.log = log
  }

  /// Logs in the polynomial basis: the powers of x, one after the other.
  private static func shiftRegisterLogs() -> [UInt16] {
    var logs = [UInt16](repeating: 0, count: elementCount)
    var state = 1
    for power in 0..<modulus {
      logs[state] = power
      state <<= 1
      if state >= elementCount { state ^= polynomial }
    }
    logs[0] = modulus
    return logs
  }

  /// x times the element whose log is `logFactor`.
  func multiply(_ x: UInt16, byLog logFactor: UInt16) -> UInt16 {
    x == 0 ? 0 : exp[Int(Self.addModulo(log[Int(x)], logFactor))]
  }

  /// The product of two elements.
  func multiply(_ x: UInt16, _ y: UInt16) -> UInt16 {
    y == 0 ? 0 : multiply(x, byLog: log[Int(y)])
  }

  /// The log of the twiddle factor at `index` in 0 ..< 65535; 65535 stands for the factor zero.
  ///
  /// The transforms use the same factors in another order; this is the order of the specification.
  func skew(_ index: Int) -> UInt16 {
    log[index >> (~index).trailingZeroBitCount]
  }

  /// a + b modulo 65535; may return 65535 for 0.
  static func addModulo(_ a: UInt16, _ b: UInt16) -> UInt16 {
    let sum = UInt32(a) + UInt32(b)
    return UInt16(truncatingIfNeeded: sum + sum >> 16)
  }

  /// a - b modulo 65535; may return 65535 for 0.
  static func subtractModulo(_ a: UInt16, _ b: UInt16) -> UInt16 {
    let difference = UInt32(a) &- UInt32(b)
    return UInt16(truncatingIfNeeded: difference &+ difference >> 16)
  }

  /// a * b modulo 65535; may return 65535 for 0.
  static func multiplyModulo(_ a: UInt16, _ b: UInt16) -> UInt16 {
    let product = UInt32(a) * UInt32(b)
    return addModulo(UInt16(truncatingIfNeeded: product), UInt16(product >> 16))
  }
}
