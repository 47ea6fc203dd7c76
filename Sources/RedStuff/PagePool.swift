// PagePool.swift
//
// Memory of blobs, slivers and work space. The system clears fresh pages, which for a large blob takes
// up to half as long as encoding it; so large blocks that are given back wait a while for the next blob.
//
// Invariant: blocks in use and waiting ones together stay within 9/8 of the most that was in use at any
// time, and within 64 MiB of it. Before the pool asks the system for a block, waiting ones go back to it
// until that holds.

internal import CKernels
internal import Synchronization

/// A piece of memory, aligned to the cache line at least, so that vector loads do not straddle two.
///
/// `@unchecked Sendable`: it belongs to whoever took it; the pool's lock orders one owner's use before
/// the next one's.
@safe struct PageBlock: @unchecked Sendable {
  let base: UnsafeMutablePointer<UInt8>
  let byteCount: Int
}

/// The large blocks of the process that wait for their next use.
package enum PagePool {
  /// Smaller blocks are left to `malloc`, which keeps them itself.
  private static let byteCountMin = 1 << 20
  /// Of all blocks that wait: a 256 MiB blob's among a thousand shards, on small machines less.
  private static let waitingByteCountMax = min(1 << 30, ck_memory_bytes() / 16)

  private static let pool = Mutex(WaitingBlocks(byteCountMax: waitingByteCountMax))

  /// At least so many bytes, not initialised; to be given back with `free`.
  static func allocate(_ byteCount: Int) -> PageBlock {
    if byteCount >= byteCountMin {
      let (found, released) = pool.withLock { $0.take(byteCount) }
      release(released)
      if let found { return found }
    }
    guard let memory = unsafe ck_pages_allocate(byteCount) else {
      preconditionFailure("no memory for \(byteCount) bytes")
    }
    return unsafe PageBlock(
      base: memory.bindMemory(to: UInt8.self, capacity: max(byteCount, 1)), byteCount: byteCount)
  }

  static func free(_ block: PageBlock) {
    release(block.byteCount < byteCountMin ? [block] : pool.withLock { $0.put(block) })
  }

  /// Gives back to the system what no one has taken since the last call. To be called now and then, so
  /// that a process which has nothing to do does not hold memory either.
  package static func releaseIdle() {
    release(pool.withLock { $0.takeIdle() })
  }

  private static func release(_ blocks: [PageBlock]) {
    for block in blocks { unsafe ck_pages_free(block.base) }
  }
}

/// Which blocks wait, and how much is in use; it allocates and frees nothing itself.
struct WaitingBlocks: Sendable {
  /// Something small more shall not send away what waits for something large.
  private static let excessMax = 64 << 20

  let byteCountMax: Int
  private(set) var byteCount = 0
  private(set) var usedByteCount = 0
  private var usedByteCountMax = 0
  /// The one that has waited longest first; `since` counts calls of `takeIdle`.
  private var blocks: [(block: PageBlock, since: Int)] = []
  private var time = 0

  init(byteCountMax: Int) {
    self.byteCountMax = byteCountMax
  }

  /// The smallest block of at least so many bytes, unless much of it would lie idle, and the blocks that
  /// must go; without a block found, one of just so many bytes may be made after that.
  mutating func take(_ wanted: Int) -> (found: PageBlock?, released: [PageBlock]) {
    let fitting = blocks.indices.filter {
      let byteCount = blocks[$0].block.byteCount
      return byteCount >= wanted && byteCount - wanted <= wanted / 4
    }
    let smallest = fitting.min { blocks[$0].block.byteCount < blocks[$1].block.byteCount }
    let found = smallest.map { remove(at: $0) }
    usedByteCount += found?.byteCount ?? wanted
    usedByteCountMax = max(usedByteCountMax, usedByteCount)
    let allowed = usedByteCountMax + min(usedByteCountMax / 8, Self.excessMax)
    return (found, removeFirst(atLeast: usedByteCount + byteCount - allowed))
  }

  /// A block that waits from now on; yields those for which there is no more room.
  mutating func put(_ block: PageBlock) -> [PageBlock] {
    usedByteCount -= block.byteCount
    guard block.byteCount <= byteCountMax else { return [block] }
    let released = removeFirst(atLeast: byteCount + block.byteCount - byteCountMax)
    blocks.append((block, since: time))
    byteCount += block.byteCount
    return released
  }

  /// The blocks that were there at the last call already.
  mutating func takeIdle() -> [PageBlock] {
    var idle: [PageBlock] = []
    while let first = blocks.first, first.since < time { idle.append(remove(at: 0)) }
    time += 1
    return idle
  }

  /// The blocks that have waited longest, until they are so many bytes.
  private mutating func removeFirst(atLeast wanted: Int) -> [PageBlock] {
    var (removed, sum): ([PageBlock], Int) = ([], 0)
    while sum < wanted, let first = blocks.first {
      removed.append(remove(at: 0))
      sum += first.block.byteCount
    }
    return removed
  }

  private mutating func remove(at index: Int) -> PageBlock {
    byteCount -= blocks[index].block.byteCount
    return blocks.remove(at: index).block
  }
}
