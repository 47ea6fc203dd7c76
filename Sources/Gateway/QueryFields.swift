// QueryFields.swift
//
// Query fields by name. Reads ignore names they do not know, because people add them to get around
// caches; calls that change something refuse them, because a misspelt name would change the outcome
// in silence. An empty value counts as not given.

import Cluster

struct QueryFields {
  private let fields: [WireField]

  /// - Parameter known: refuse all other names, and names given twice; nil: take anything.
  init(_ query: [WireField]?, known: Set<String>?) throws(GatewayFailure) {
    guard let query else { throw .malformed("the query is not percent-encoded UTF-8") }
    if let known {
      var seen: Set<String> = []
      for field in query {
        guard known.contains(field.name) else {
          throw .malformed(
            """
            the query parameter `\(field.name)` is not known here; known are \
            \(known.sorted().joined(separator: ", "))
            """)
        }
        guard seen.insert(field.name).inserted else {
          throw .malformed("the query parameter `\(field.name)` is given twice")
        }
      }
    }
    fields = query
  }

  func text(_ name: String) -> String? {
    fields.first { $0.name == name && !$0.value.isEmpty }?.value
  }

  /// Whether the field is there but empty, as an unset variable of a script leaves it.
  func isEmpty(_ name: String) -> Bool {
    fields.contains { $0.name == name && $0.value.isEmpty }
  }

  func flag(_ name: String) throws(GatewayFailure) -> Bool {
    switch text(name) {
    case nil, "false": return false
    case "true": return true
    case let value?:
      throw .malformed("the query parameter `\(name)` is true or false, not `\(value)`")
    }
  }

  func number<Number: FixedWidthInteger>(
    _ name: String, as type: Number.Type = Number.self
  ) throws(GatewayFailure) -> Number? {
    guard let text = text(name) else { return nil }
    guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 }),
      let number = Number(text)
    else {
      throw .malformed(
        "the query parameter `\(name)` is a number of at most \(Number.max), not `\(text)`")
    }
    return number
  }
}
