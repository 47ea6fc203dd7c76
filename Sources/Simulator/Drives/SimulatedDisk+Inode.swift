// SimulatedDisk+Inode.swift
//
// The two stories of one file: its bytes as they are read now, and what of them is durable.

internal import World

extension SimulatedDisk {
  /// One file, whatever its names are.
  struct Inode {
    var bytes: [UInt8] = []
    /// Sectors that differ from what is durable, and what is durable there (nil: behind its end).
    var undo: [Int: [UInt8]] = [:]
    /// Of those, the ones that look clean: a failed sync gave them up, or the drive lost them.
    var forsaken: Set<Int> = []
    var durableByteCount = 0
  }
}

extension SimulatedDisk.Inode {
  private static var sector: Int { SimulatedDisk.sectorByteCount }

  /// The sectors that have bytes in `range`.
  static func sectors(_ range: Range<Int>) -> Range<Int> {
    range.isEmpty
      ? 0..<0 : range.lowerBound / sector..<(range.upperBound - 1) / sector + 1
  }

  /// Remembers what is durable in the sectors of `range` before they change.
  private mutating func touch(_ range: Range<Int>) {
    for number in Self.sectors(range) {
      forsaken.remove(number)
      guard undo[number] == nil else { continue }
      let start = number * Self.sector
      let end = min(start + Self.sector, durableByteCount, bytes.count)
      undo[number] = start < end ? Array(bytes[start..<end]) : []
    }
  }

  private mutating func grow(to count: Int) {
    guard bytes.count < count else { return }
    bytes.append(contentsOf: repeatElement(0, count: count - bytes.count))
  }

  mutating func write(_ new: some Collection<UInt8>, at offset: Int) {
    touch(offset..<offset + new.count)
    grow(to: offset + new.count)
    bytes.replaceSubrange(offset..<offset + new.count, with: new)
  }

  mutating func truncate(to count: Int) {
    touch(min(count, bytes.count)..<max(count, bytes.count))
    if count < bytes.count { bytes.removeLast(bytes.count - count) } else { grow(to: count) }
  }

  mutating func sync() {
    undo = undo.filter { forsaken.contains($0.key) }
    durableByteCount = bytes.count
  }

  /// A sync that failed: what was dirty looks clean from now on.
  mutating func failSync() { forsaken.formUnion(undo.keys) }

  /// A write that was cut off: any of its sectors, in whatever order the drive took them.
  mutating func tear(_ new: [UInt8], at offset: Int, _ dice: SeededRandomness) {
    for number in Self.sectors(offset..<offset + new.count) where dice.next() & 1 == 0 {
      let start = max(number * Self.sector, offset)
      let end = min((number + 1) * Self.sector, offset + new.count)
      write(new[start - offset..<end - offset], at: start)
    }
  }

  /// A write that the drive forgets: it reads back, and looks clean, until it is read anew.
  mutating func lose(_ new: [UInt8], at offset: Int) {
    write(new, at: offset)
    forsaken.formUnion(Self.sectors(offset..<offset + new.count))
  }

  /// A write whose bytes land on another sector of what the file was before.
  ///
  /// - Returns: where; nil if there is no other place.
  mutating func misdirect(_ new: [UInt8], at offset: Int, _ dice: SeededRandomness) -> Int? {
    let count = bytes.count
    let target = count > 0 ? dice.number(below: count) / Self.sector * Self.sector : offset
    guard target != offset / Self.sector * Self.sector else { return nil }
    write(new.prefix(count - target), at: target)
    if offset + new.count > count { truncate(to: offset + new.count) }
    return target
  }

  /// What looks clean is read from the platter again.
  mutating func dropForsaken() {
    for number in forsaken.sorted() {
      guard let old = undo.removeValue(forKey: number) else { continue }
      putBack(old, sector: number, in: &bytes)
    }
    forsaken = []
  }

  /// What one sector showed before it was last written.
  func staleBytes(ofSector number: Int) -> [UInt8] { undo[number] ?? [] }

  /// What would be there if the power went now and nothing of what is not synced survived.
  var durableBytes: [UInt8] { image(byteCount: durableByteCount) { false } }

  /// Goes back to what is durable, except where an unsynced sector survives.
  mutating func crash(_ randomness: SeededRandomness, survives: () -> Bool) {
    // The size may be the old one, the new one, or one between; what is behind the new end is gone.
    var count = durableByteCount
    if survives() {
      let low = min(durableByteCount, bytes.count)
      let high = max(durableByteCount, bytes.count)
      count = survives() ? bytes.count : low + randomness.number(below: high - low + 1)
    }
    self = SimulatedDisk.Inode(
      bytes: image(byteCount: count, survives: survives), durableByteCount: count)
  }

  private func image(byteCount count: Int, survives: () -> Bool) -> [UInt8] {
    var image = bytes
    let longest = max(count, durableByteCount)
    if image.count < longest {
      image.append(contentsOf: repeatElement(0, count: longest - image.count))
    }
    for (number, old) in undo.sorted(by: { $0.key < $1.key }) {
      // A sector that a failed sync gave up was never written.
      if !forsaken.contains(number), survives() { continue }
      putBack(old, sector: number, in: &image)
    }
    image.removeLast(image.count - count)
    return image
  }

  private func putBack(_ old: [UInt8], sector number: Int, in image: inout [UInt8]) {
    let start = number * Self.sector
    for offset in start..<max(start, min(start + Self.sector, image.count)) {
      image[offset] = offset - start < old.count ? old[offset - start] : 0
    }
  }

  /// Flips one bit of what is durable at `offset`.
  mutating func flip(_ offset: Int, mask: UInt8) {
    let (number, place) = (offset / Self.sector, offset % Self.sector)
    if let old = undo[number] {
      guard place < old.count else { return }
      undo[number]?[place] ^= mask
    } else if offset < bytes.count {
      bytes[offset] ^= mask
    }
  }
}
