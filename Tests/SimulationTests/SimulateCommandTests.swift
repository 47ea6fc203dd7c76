// SimulateCommandTests.swift
//
// The real `walrus-simulate` in real processes: what one number repeats, and what people see.

import Foundation
import Testing

private struct Outcome {
  var status: Int32
  var output: String

  /// The last word of the line that says what the trace came to.
  var traceHash: Substring? {
    output.split(separator: "\n").last { $0.contains(" events, trace ") }?
      .split(separator: ",").first { $0.contains("trace") }?.split(separator: " ").last
  }
}

@Suite struct SimulateCommandTests {
  private func simulate(_ arguments: String...) throws -> Outcome {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
      .deletingLastPathComponent().appendingPathComponent("walrus-simulate")
    process.arguments = arguments
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return Outcome(
      status: process.terminationStatus, output: String(decoding: bytes, as: UTF8.self))
  }

  @Test func `a seed repeats itself in another process`() throws {
    let first = try simulate("replay", "8", "--minutes", "1", "--events", "1")
    let second = try simulate("replay", "8", "--minutes", "1", "--events", "1")
    #expect(first.status == 0, "\(first.output)")
    #expect(first.traceHash != nil)
    #expect(first.traceHash == second.traceHash)
  }

  @Test func `two seeds differ`() throws {
    let first = try simulate("replay", "8", "--minutes", "1", "--events", "1")
    let second = try simulate("replay", "9", "--minutes", "1", "--events", "1")
    #expect(first.traceHash != second.traceHash)
  }

  @Test func `a seed comes to the same among others as alone`() throws {
    let alone = try simulate("replay", "5", "--minutes", "1", "--events", "1")
    let among = try simulate("run", "--from", "3", "--seeds", "3", "--minutes", "1", "--jobs", "1")
    let hash = try #require(alone.traceHash)
    #expect(among.output.contains(hash), "\(among.output)")
  }

  @Test func `replay stops at the event asked for`() throws {
    let outcome = try simulate(
      "replay", "3", "--minutes", "1", "--until", "5000", "--events", "10")
    let numbers = outcome.output.split(separator: "\n").compactMap {
      $0.split(separator: " ").first.flatMap { Int($0) }
    }.filter { $0 < 5010 }
    #expect(numbers.count >= 10)
    #expect(outcome.output.contains(" events, trace "))
  }

  @Test func `comparing two runs of a seed shows no difference`() throws {
    let outcome = try simulate("replay", "2", "--minutes", "1", "--compare")
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("both runs are the same"))
  }

  @Test func `every line of a run in JSON is one seed, and the last one all`() throws {
    let outcome = try simulate("run", "--seeds", "2", "--minutes", "1", "--json")
    #expect(outcome.status == 0)
    let lines = outcome.output.split(separator: "\n")
    #expect(lines.count == 3)
    for line in lines {
      let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      #expect(object?["traceHash"] is String)
    }
  }

  @Test func `one crash point can be run alone`() throws {
    let outcome = try simulate("crash-points", "--point", "crash@40,subset=3,index=some,seed=1")
    #expect(outcome.status == 0, "\(outcome.output)")
    #expect(outcome.output.contains("1 crash points"))
  }

  @Test func `a point that is none, a bug that is none and a missing corpus are refused by name`()
    throws
  {
    let point = try simulate("crash-points", "--point", "crash@x")
    #expect(point.status != 0 && point.output.contains("crash@x"))
    let bug = try simulate("run", "--seeds", "1", "--planted-bug", "tooHonest")
    #expect(bug.status != 0 && bug.output.contains("tooHonest"))
    let corpus = try simulate("run", "--corpus", "/nowhere/seeds.txt")
    #expect(corpus.status != 0 && corpus.output.contains("seeds.txt"))
  }
}
