// DashedIDs.swift
//
// One ID in 64 begins with a dash, and would be taken for options. Nobody should have to know that, so
// such arguments are put where they can only be IDs before the command line is parsed.

import RedStuff

enum DashedIDs {
  /// Options whose values are IDs of blobs, quilts and patches.
  static let options: Set<String> = ["--quilt-id", "--quilt-patch-ids"]

  /// The same arguments: values of those options behind an equals sign, other IDs that begin with a
  /// dash at the end, behind two dashes.
  static func protected(_ arguments: [String]) -> [String] {
    let options = arguments.prefix { $0 != "--" }
    var kept: [String] = []
    var positional: [String] = []
    var option: String?
    for argument in options {
      let isID = isDashed(argument)
      if argument.hasPrefix("-"), !isID {
        option = Self.options.contains(argument) ? argument : nil
        kept.append(argument)
      } else if let option {
        if kept.last == option { kept.removeLast() }
        kept.append("\(option)=\(argument)")
      } else if isID {
        positional.append(argument)
      } else {
        kept.append(argument)
      }
    }
    positional += arguments.dropFirst(options.count + 1)
    let hasEnd = options.count < arguments.count
    return positional.isEmpty && !hasEnd ? kept : kept + ["--"] + positional
  }

  private static func isDashed(_ argument: String) -> Bool {
    argument.hasPrefix("-")
      && (BlobID(text: argument) != nil || (try? QuiltPatchID(text: argument)) != nil)
  }
}
