// BenchmarkReport.swift
//
// What a benchmark found: tables for people and programs, and the bars that figures are held
// against.

/// How a figure is shown.
package enum FigureFormat: String, Codable, Sendable {
  case count, bytes, ratio, seconds, milliseconds
}

package struct BenchmarkTable: Codable, Sendable {
  package struct Column: Codable, Sendable {
    package var name: String
    package var format: FigureFormat

    package init(_ name: String, _ format: FigureFormat) {
      self.name = name
      self.format = format
    }
  }

  package struct Row: Codable, Sendable {
    package var name: String
    /// One for each column; nil where there is nothing to say.
    package var figures: [Double?]
  }

  package var title: String
  /// What one has to know to read it.
  package var note: String
  package var columns: [Column]
  package var rows: [Row] = []

  package init(_ title: String, note: String = "", columns: [Column]) {
    self.title = title
    self.note = note
    self.columns = columns
  }

  package mutating func add(_ name: String, _ figures: Double?...) {
    rows.append(Row(name: name, figures: figures))
  }
}

/// A figure and the limit that it has to keep.
package struct BenchmarkBar: Codable, Sendable {
  package enum Kind: String, Codable, Sendable {
    case atMost, atLeast
  }

  package var name: String
  package var value: Double
  package var limit: Double
  package var kind: Kind
  package var holds: Bool

  package init(_ name: String, _ value: Double, _ kind: Kind, _ limit: Double) {
    self.name = name
    self.value = value
    self.limit = limit
    self.kind = kind
    holds = kind == .atMost ? value <= limit : value >= limit
  }
}

package struct BenchmarkReport: Codable, Sendable {
  package var tables: [BenchmarkTable] = []
  package var bars: [BenchmarkBar] = []

  package init() {}

  package mutating func hold(
    _ name: String, _ value: Double, _ kind: BenchmarkBar.Kind, _ limit: Double
  ) {
    bars.append(BenchmarkBar(name, value, kind, limit))
  }
}
