// PagePoolTests.swift
//
// Which blocks wait, which are taken again, and which go back to the system.

import RunSeed
import Testing

@testable import RedStuff

@Suite struct PagePoolTests {
  /// Never touched: blocks are looked at by size only.
  private func block(_ byteCount: Int, number: Int = 1) throws -> PageBlock {
    let base = try unsafe #require(UnsafeMutablePointer<UInt8>(bitPattern: number << 12))
    return unsafe PageBlock(base: base, byteCount: byteCount)
  }

  private func byteCounts(_ blocks: [PageBlock]) -> [Int] { blocks.map(\.byteCount) }

  @Test func `the smallest block that fits is taken`() throws {
    var waiting = WaitingBlocks(byteCountMax: 1000)
    for size in [125, 110, 120, 99] { _ = waiting.take(size) }
    for size in [125, 110, 120, 99] { _ = waiting.put(try block(size)) }
    let (found, released) = waiting.take(100)
    #expect(found?.byteCount == 110)
    #expect(released.isEmpty)
    #expect(waiting.byteCount == 125 + 120 + 99)
  }

  @Test func `a block of which over a fifth would lie idle is not taken`() throws {
    var waiting = WaitingBlocks(byteCountMax: 1000)
    _ = waiting.put(try block(126))
    #expect(waiting.take(100).found == nil)
  }

  @Test func `before a new block is made the longest waiting ones go back`() throws {
    var waiting = WaitingBlocks(byteCountMax: 1000)
    for size in [30, 31, 32, 33] { _ = waiting.take(size) }
    for size in [30, 31, 32, 33] { _ = waiting.put(try block(size)) }
    // 126 have been in use, so 141 may be there.
    let (found, released) = waiting.take(60)
    #expect(found == nil)
    #expect(byteCounts(released) == [30, 31])
    #expect(waiting.byteCount + waiting.usedByteCount == 32 + 33 + 60)
  }

  @Test func `something small more lets the others wait`() throws {
    var waiting = WaitingBlocks(byteCountMax: 1000)
    _ = waiting.take(800)
    _ = waiting.put(try block(800))
    #expect(waiting.take(100).released.isEmpty)
    #expect(waiting.take(800).found?.byteCount == 800)
  }

  @Test func `no more than the limit waits`() throws {
    var waiting = WaitingBlocks(byteCountMax: 100)
    #expect(byteCounts(waiting.put(try block(60))) == [])
    #expect(byteCounts(waiting.put(try block(50))) == [60])
    #expect(byteCounts(waiting.put(try block(101))) == [101])
    #expect(waiting.byteCount == 50)
  }

  @Test func `what nobody takes for a whole period is idle`() throws {
    var waiting = WaitingBlocks(byteCountMax: 1000)
    _ = waiting.put(try block(1))
    #expect(byteCounts(waiting.takeIdle()) == [])
    _ = waiting.put(try block(2))
    #expect(byteCounts(waiting.takeIdle()) == [1])
    #expect(byteCounts(waiting.takeIdle()) == [2])
    #expect(waiting.byteCount == 0)
  }

  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func `used and waiting blocks stay within nine eighths of the most used`(seed: UInt64) throws {
    var dice = Dice(seed: seed)
    var waiting = WaitingBlocks(byteCountMax: 3000)
    var live: [PageBlock] = []
    var most = 0
    for step in 0..<2000 {
      if live.isEmpty || dice.below(2) == 0 {
        let wanted = 1 + dice.below(1000)
        let found = waiting.take(wanted).found
        live.append(try found ?? block(wanted, number: step + 1))
        #expect(live[live.count - 1].byteCount >= wanted)
      } else {
        _ = waiting.put(live.remove(at: dice.below(live.count)))
      }
      let used = byteCounts(live).reduce(0, +)
      most = max(most, used)
      #expect(waiting.usedByteCount == used)
      #expect(used + waiting.byteCount <= most + most / 8)
      #expect(Set(live.map { unsafe Int(bitPattern: $0.base) }).count == live.count)
    }
  }

  @Test func `a block that was given back is handed out again and can be written`() {
    let byteCount = 3 << 20
    for _ in 0..<3 {
      let block = PagePool.allocate(byteCount)
      #expect(block.byteCount >= byteCount)
      unsafe block.base.update(repeating: 7, count: byteCount)
      PagePool.free(block)
    }
    PagePool.releaseIdle()
    PagePool.releaseIdle()
  }
}
