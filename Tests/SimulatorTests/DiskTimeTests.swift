// DiskTimeTests.swift
//
// Operations on a drive with a clock take time, and happen at the end of it; a process or a power
// supply that ends before that ends them too.

import Simulator
import Testing
import World

@Suite struct DiskTimeTests {
  let clock = VirtualClock()

  @Test func `an operation takes time on the clock`() async throws {
    let clock = clock
    let began = clock.now
    _ = try await clock.autoAdvancing { try await driveWithFile(clock: clock) }
    let elapsed = clock.now - began
    #expect(elapsed > .microseconds(100))
    #expect(elapsed < .milliseconds(200))
  }

  @Test func `a slow drive takes longer in proportion`() async throws {
    let clock = clock
    var elapsed: [Duration] = []
    for slowness in [1.0, 1000.0] {
      let disk = SimulatedDisk(seed: 5, clock: clock)
      var trouble = DiskTrouble()
      trouble.slowness = slowness
      disk.setTrouble(trouble)
      let began = clock.now
      _ = try await clock.autoAdvancing { try await disk.files() }
      elapsed.append(clock.now - began)
    }
    #expect(elapsed[1] == elapsed[0] * 1000)
  }

  @Test func `a stalled drive does nothing before the instant`() async throws {
    let clock = clock
    let disk = SimulatedDisk(seed: 1, clock: clock)
    var trouble = DiskTrouble()
    trouble.stalledUntil = clock.now + .seconds(30)
    disk.setTrouble(trouble)
    let began = clock.now
    _ = try await clock.autoAdvancing { try await disk.create("file") }
    #expect(clock.now - began >= .seconds(30))
    #expect(disk.names == ["file"])
  }

  @Test func `a stall that is ended early is noticed`() async throws {
    let clock = clock
    let disk = SimulatedDisk(seed: 1, clock: clock)
    var trouble = DiskTrouble()
    trouble.stalledUntil = Instant(nanoseconds: .max)
    disk.setTrouble(trouble)
    try await clock.autoAdvancing {
      async let files = disk.files()
      try await clock.sleep(for: .seconds(5))
      disk.setTrouble(DiskTrouble())
      _ = try await files
    }
    #expect(clock.now.nanoseconds < 20_000_000_000)
  }

  @Test func `an operation of a cancelled task runs to its end`() async throws {
    let clock = clock
    let (disk, file) = try await clock.autoAdvancing { try await driveWithFile(clock: clock) }
    try await clock.autoAdvancing {
      let task = Task { try await file.write([[7]], at: 0) }
      task.cancel()
      try await task.value
    }
    #expect(disk.contents(of: "file")?.first == 7)
  }

  @Test func `a write under way when the power goes is torn, or not there`() async throws {
    let clock = clock
    var counts: Set<Int> = []
    for seed in 0..<30 {
      let (disk, file) = try await clock.autoAdvancing {
        try await driveWithFile(seed: UInt64(seed), byteCount: 1024, clock: clock)
      }
      let task = Task { try await file.write([[UInt8](repeating: 2, count: 1024)], at: 0) }
      while clock.sleeperCount == 0 { await Task.yield() }
      disk.restart(.everything)
      clock.advance(by: .seconds(1))
      #expect(await diskError { try await task.value } != nil)
      counts.insert(disk.contents(of: "file")?.count { $0 == 2 } ?? -1)
    }
    #expect(counts == [0, 512, 1024])
  }

  @Test func `equal seeds give equal traces, and other seeds others`() async throws {
    var hashes: [UInt64] = []
    for seed in [3, 3, 4] as [UInt64] {
      let (clock, trace) = (VirtualClock(), Trace(detail: .all))
      _ = try await clock.autoAdvancing {
        let (disk, file) = try await driveWithFile(seed: seed, clock: clock, trace: trace)
        var trouble = DiskTrouble()
        trouble.readFailureRate = 0.5
        disk.setTrouble(trouble)
        for _ in 0..<30 { _ = await diskError { _ = try await file.read(at: 0, count: 1) } }
      }
      hashes.append(trace.hash)
      #expect(trace.count == 34)
      #expect(trace.events.first?.text == "create file: done")
    }
    #expect(hashes[0] == hashes[1])
    #expect(hashes[0] != hashes[2])
  }
}
