// Options.swift
//
// Options that several subcommands share, and the texts they are parsed from.

import ArgumentParser
import Foundation

struct DataOption: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The cluster's data directory (default: $WALRUS_DATA, else ./walrus-data).",
      valueName: "dir"))
  var data: String?

  var directory: String {
    data ?? ProcessInfo.processInfo.environment["WALRUS_DATA"] ?? "./walrus-data"
  }
}

struct GatewayOption: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Where the gateway listens (default: $WALRUS_URL, else http://127.0.0.1:31415).",
      valueName: "url"))
  var url: String?

  /// Without a slash at the end.
  var base: String {
    var text = url ?? ProcessInfo.processInfo.environment["WALRUS_URL"] ?? "http://127.0.0.1:31415"
    while text.hasSuffix("/") { text.removeLast() }
    return text
  }
}

struct JSONOption: ParsableArguments {
  @Flag(name: .long, help: "Print one JSON value instead of text for people.")
  var json = false
}

/// `a-b`, `a-` or `-n`, as in an HTTP Range header: both ends included.
struct ByteRangeArgument: ExpressibleByArgument {
  let header: String

  init?(argument: String) {
    let ends = argument.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2, ends.contains(where: { !$0.isEmpty }),
      ends.allSatisfy({ $0.isEmpty || UInt64($0) != nil })
    else { return nil }
    if let first = UInt64(ends[0]), let last = UInt64(ends[1]), last < first { return nil }
    header = "bytes=\(argument)"
  }
}

/// `HOST:PORT`; an IPv6 host stands in brackets.
struct ListenAddress: ExpressibleByArgument, CustomStringConvertible {
  let host: String
  let port: Int

  init?(argument: String) {
    guard let colon = argument.lastIndex(of: ":"),
      let port = Int(argument[argument.index(after: colon)...]), (0...65535).contains(port)
    else { return nil }
    var host = String(argument[..<colon])
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = String(host.dropFirst().dropLast())
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty else { return nil }
    self.host = host
    self.port = port
  }

  init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A byte count with an optional unit: `500`, `64KiB`, `10GB`, `1.5TiB`.
struct ByteCountArgument: ExpressibleByArgument {
  let byteCount: Int

  init(byteCount: Int) { self.byteCount = byteCount }

  init?(argument: String) {
    let units: [(String, Double)] = [
      ("KiB", 0x1p10), ("MiB", 0x1p20), ("GiB", 0x1p30), ("TiB", 0x1p40),
      ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1),
    ]
    let unit = units.first { argument.hasSuffix($0.0) }
    let digits = argument.dropLast(unit?.0.count ?? 0)
    guard let number = Double(digits), number >= 0, number.isFinite else { return nil }
    let bytes = number * (unit?.1 ?? 1)
    guard bytes <= 0x1p62 else { return nil }
    byteCount = Int(bytes)
  }
}
