// DiskTroubleTests.swift
//
// Each fault of the simulated drive does what its name says, and nothing else.

import Simulator
import Testing
import World

/// A drive with one durable file of these many bytes, all of them 1.
func driveWithFile(
  seed: UInt64 = 1, byteCount: Int = 4096, clock: (any Clock)? = nil, trace: Trace? = nil
) async throws -> (SimulatedDisk, any DiskFile) {
  let disk = SimulatedDisk(seed: seed, clock: clock, trace: trace)
  let file = try await disk.create("file")
  try await file.write([[UInt8](repeating: 1, count: byteCount)], at: 0)
  try await file.sync()
  try await disk.syncDirectory()
  return (disk, file)
}

func diskError(_ body: () async throws -> Void) async -> DiskError? {
  do {
    try await body()
    return nil
  } catch {
    return error as? DiskError
  }
}

private func trouble(_ change: (inout DiskTrouble) -> Void) -> DiskTrouble {
  var trouble = DiskTrouble()
  change(&trouble)
  return trouble
}

@Suite struct DiskTroubleTests {
  @Test func `a read error is gone when the trouble is`() async throws {
    let (disk, file) = try await driveWithFile()
    disk.setTrouble(trouble { $0.readFailureRate = 1 })
    let error = await diskError { _ = try await file.read(at: 0, count: 10) }
    #expect(error == .failed(file: "file", operation: "read", code: 5))
    disk.setTrouble(DiskTrouble())
    #expect(try await file.read(at: 0, count: 10) == [UInt8](repeating: 1, count: 10))
  }

  @Test func `a rate between strikes some operations`() async throws {
    let (disk, file) = try await driveWithFile()
    disk.setTrouble(trouble { $0.readFailureRate = 0.3 })
    var failureCount = 0
    for _ in 0..<200
    where await diskError({ _ = try await file.read(at: 0, count: 1) }) != nil {
      failureCount += 1
    }
    #expect((30..<90).contains(failureCount))
  }

  @Test func `a failed write leaves any of its sectors`() async throws {
    var patterns: Set<[Bool]> = []
    for seed in 0..<40 {
      let (disk, file) = try await driveWithFile(seed: UInt64(seed), byteCount: 2048)
      disk.setTrouble(trouble { $0.writeFailureRate = 1 })
      let error = await diskError {
        try await file.write([[UInt8](repeating: 2, count: 2048)], at: 0)
      }
      #expect(error == .failed(file: "file", operation: "write", code: 5))
      let bytes = try #require(disk.contents(of: "file"))
      let sectors = (0..<4).map { Set(bytes[$0 * 512..<($0 + 1) * 512]) }
      #expect(sectors.allSatisfy { $0.count == 1 })
      patterns.insert(sectors.map { $0 == [2] })
    }
    // A later sector may be there without an earlier one.
    #expect(patterns.count > 8)
    #expect(patterns.contains { $0.last == true && $0.first == false })
  }

  @Test func `what a failed sync gave up is lost in a crash even after a good one`() async throws {
    let (disk, file) = try await driveWithFile(byteCount: 512)
    try await file.write([[UInt8](repeating: 2, count: 512)], at: 0)
    disk.setTrouble(trouble { $0.syncFailureRate = 1 })
    #expect(await diskError { try await file.sync() } != nil)
    disk.setTrouble(DiskTrouble())
    try await file.sync()
    #expect(try await file.read(at: 0, count: 512) == [UInt8](repeating: 2, count: 512))
    disk.restart(.everything)
    #expect(disk.contents(of: "file") == [UInt8](repeating: 1, count: 512))
  }

  @Test func `opening and listing fail with different reasons and lose nothing`() async throws {
    let (disk, _) = try await driveWithFile()
    disk.setTrouble(trouble { $0.openFailureRate = 1 })
    var codes: Set<Int32> = []
    for _ in 0..<20 {
      if case .failed(_, _, let code)? = await diskError({ _ = try await disk.files() }) {
        codes.insert(code)
      }
      if case .failed(_, _, let code)? = await diskError({ _ = try await disk.open("file") }) {
        codes.insert(code)
      }
    }
    #expect(codes == [5, 24])
    disk.setTrouble(DiskTrouble())
    #expect(try await disk.files() == ["file"])
  }

  @Test func `a full drive takes a prefix at most, and overwrites`() async throws {
    let (disk, file) = try await driveWithFile(byteCount: 512)
    disk.setTrouble(trouble { $0.isFull = true })
    #expect(try await disk.space().freeByteCount == 0)
    let error = await diskError {
      try await file.write([[UInt8](repeating: 2, count: 99)], at: 512)
    }
    #expect(error == .full(file: "file"))
    #expect(try #require(disk.contents(of: "file")).count < 512 + 100)
    try await file.write([[3]], at: 0)
    #expect(await diskError { _ = try await disk.create("other") } == .full(file: "other"))
    disk.setTrouble(DiskTrouble())
    _ = try await disk.create("other")
  }

  @Test func `a lost write is reported done and synced and is gone later`() async throws {
    let (disk, file) = try await driveWithFile(byteCount: 512)
    disk.setTrouble(trouble { $0.lostWriteRate = 1 })
    #expect(disk.trouble.isDamaging)
    try await file.write([[UInt8](repeating: 2, count: 512)], at: 512)
    try await file.sync()
    disk.dropCaches()
    #expect(
      try await file.read(at: 0, count: 1024)
        == [UInt8](repeating: 1, count: 512) + [UInt8](repeating: 0, count: 512))
  }

  @Test func `a lost write may show only when the power went`() async throws {
    var shownEarly: Set<Bool> = []
    for seed in 0..<20 {
      let (disk, file) = try await driveWithFile(seed: UInt64(seed), byteCount: 512)
      disk.setTrouble(trouble { $0.lostWriteRate = 1 })
      try await file.write([[UInt8](repeating: 2, count: 512)], at: 0)
      try await file.sync()
      shownEarly.insert(disk.contents(of: "file")?.first == 1)
      disk.restart(.everything)
      #expect(disk.contents(of: "file")?.first == 1)
    }
    #expect(shownEarly == [true, false])
  }

  @Test func `a misdirected write lands elsewhere in the file`() async throws {
    let (disk, file) = try await driveWithFile()
    disk.setTrouble(trouble { $0.misdirectedWriteRate = 1 })
    try await file.write([[UInt8](repeating: 2, count: 512)], at: 4096)
    try await file.sync()
    disk.restart(.nothing)
    let bytes = try #require(disk.contents(of: "file"))
    #expect(bytes.count == 4608)
    #expect(bytes[4096...].allSatisfy { $0 == 0 })
    #expect(bytes[..<4096].count { $0 == 2 } == 512)
  }

  @Test func `a stale read shows one sector as it was, and only once`() async throws {
    let (disk, file) = try await driveWithFile(byteCount: 2048)
    disk.setTrouble(trouble { $0.staleReadRate = 1 })
    let bytes = try await file.read(at: 100, count: 1500)
    #expect((1...512).contains(bytes.count { $0 == 0 }))
    disk.setTrouble(DiskTrouble())
    #expect(try await file.read(at: 100, count: 1500) == [UInt8](repeating: 1, count: 1500))
  }

  @Test func `rot changes durable bits, and they stay changed`() async throws {
    let (disk, file) = try await driveWithFile()
    let places = disk.rot(bitCount: 3)
    #expect(places.count == 3)
    disk.restart(.nothing)
    #expect(await diskError { _ = try await file.read(at: 0, count: 1) } != nil)
    #expect((1...3).contains(disk.contents(of: "file")?.count { $0 != 1 } ?? 0))
  }

  @Test func `rot under an unsynced sector shows when that is lost`() async throws {
    let (disk, file) = try await driveWithFile(byteCount: 512)
    try await file.write([[UInt8](repeating: 2, count: 512)], at: 0)
    disk.rot(bitCount: 1)
    #expect(disk.contents(of: "file") == [UInt8](repeating: 2, count: 512))
    disk.restart(.nothing)
    #expect(disk.contents(of: "file")?.count { $0 != 1 } == 1)
  }

  @Test func `a drive that is put back shows what was durable, and no more`() async throws {
    let (disk, file) = try await driveWithFile(byteCount: 512)
    try await file.write([[9]], at: 0)
    let yesterday = disk.snapshot()
    try await file.write([[UInt8](repeating: 2, count: 512)], at: 512)
    try await file.sync()
    _ = try await disk.create("later")
    try await disk.syncDirectory()
    disk.restore(yesterday)
    #expect(disk.names == ["file"])
    #expect(disk.contents(of: "file") == [UInt8](repeating: 1, count: 512))
    #expect(disk.snapshot() == yesterday)
    #expect(await diskError { _ = try await file.byteCount() } != nil)
  }

  @Test func `a drive that was replaced is empty and works`() async throws {
    let (disk, file) = try await driveWithFile()
    disk.wipe()
    #expect(try await disk.files().isEmpty)
    #expect(await diskError { _ = try await file.read(at: 0, count: 1) } != nil)
    _ = try await disk.create("file")
  }

  @Test func `the write during which the power goes is torn in any order`() async throws {
    var patterns: Set<[Bool]> = []
    for seed in 0..<60 {
      let (disk, file) = try await driveWithFile(seed: UInt64(seed), byteCount: 2048)
      disk.schedule(.crash, atOperation: disk.operationCount)
      _ = await diskError { try await file.write([[UInt8](repeating: 2, count: 2048)], at: 0) }
      disk.restart(.everything)
      let bytes = try #require(disk.contents(of: "file"))
      patterns.insert((0..<4).map { bytes[$0 * 512] == 2 })
    }
    #expect(patterns.count > 8)
  }
}
