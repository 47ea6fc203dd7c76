// Fuzz.swift
//
// The fuzzer of one target, which FUZZ_TARGET names: in the environment, because libFuzzer starts its
// own command again with its own arguments. `fuzz --seeds FOLDER` writes the seeds of all targets, a
// folder for each; `fuzz --list` names the targets with their longest inputs.

import Dispatch
import Foundation
import FuzzTargets

/// libFuzzer's own main, which the package manager's entry point leaves no room for.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ argumentCount: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ testOneInput: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// Set before the first input, and never after.
nonisolated(unsafe) private var target: FuzzTarget?

@main enum Fuzz {
  static func main() throws {
    let wish = ProcessInfo.processInfo.environment["FUZZ_TARGET"]
    let words = CommandLine.arguments.dropFirst()
    if words.first == "--list" {
      for target in FuzzTarget.all { print(target.name, target.inputByteCountMax) }
    } else if words.first == "--seeds", let folder = words.dropFirst().first {
      try writeSeeds(to: URL(fileURLWithPath: folder))
    } else if let named = FuzzTarget.all.first(where: { $0.name == wish }) {
      target = named
      var count = CommandLine.argc
      var arguments = CommandLine.unsafeArgv
      exit(runDriver(&count, &arguments, testOneInput))
    } else {
      print("usage: fuzz --list | fuzz --seeds FOLDER | FUZZ_TARGET=name fuzz ...")
      exit(2)
    }
  }

  private static func writeSeeds(to folder: URL) throws {
    for target in FuzzTarget.all {
      let own = folder.appendingPathComponent(target.name)
      try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
      for (number, seed) in try target.seeds().enumerated() {
        try Data(seed).write(to: own.appendingPathComponent("seed-\(number)"))
      }
    }
  }
}

private func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let target, count <= target.inputByteCountMax else { return -1 }
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  let isDone = DispatchSemaphore(value: 0)
  // Runs on this thread up to where it has to wait, and nothing here waits for anything.
  Task.immediate {
    do {
      _ = try await target.check(bytes)
    } catch {
      print("\(target.name): \(error)")
      fflush(nil)
      abort()
    }
    isDone.signal()
  }
  isDone.wait()
  return 0
}
