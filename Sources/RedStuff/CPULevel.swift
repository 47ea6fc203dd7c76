// CPULevel.swift
//
// Which kernels the codec runs on, for people who measure or compare: the best that the CPU has, or
// the one that the environment variable WALRUS_CPU names.

internal import CKernels

package enum CPULevel {
  package static let variable = "WALRUS_CPU"

  /// All levels from the plainest up, also those that this CPU lacks.
  package static var names: [String] { levels.map(name) }

  /// The level of this process.
  package static var nameInUse: String { name(ck_level_in_use()) }

  /// Why WALRUS_CPU was not obeyed, in words; nil if it was, or is not set.
  package static var refusal: String? {
    switch ck_level_request_result() {
    case CK_REQUEST_UNKNOWN: "is no level: \(names.joined(separator: ", "))"
    case CK_REQUEST_UNSUPPORTED:
      "is a level that this CPU lacks; it has \(supportedNames.joined(separator: ", "))"
    default: nil
    }
  }

  private static var supportedNames: [String] {
    levels.filter(ck_level_supported).map(name)
  }

  private static var levels: [ck_level] { (0..<UInt32(CK_LEVEL_COUNT)).map { ck_level($0) } }

  private static func name(_ level: ck_level) -> String {
    unsafe String(cString: ck_level_name(level))
  }
}
