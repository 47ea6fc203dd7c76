// BlobReader+Spool.swift
//
// Reading by columns. Each column is had from its own sliver or from any k1 rows, in strips that
// fit into memory; the cells go to a file in reading order, and from there to the receiver. The
// whole moves no byte twice over the network: k1 * k2 symbols, as a healthy read.
//
// Invariant: what comes back from the file is compared with what went in. The spool is a drive, and
// drives forget.

import Logging
import RedStuff
import Routing
import World

extension BlobReader {
  /// A rectangle of the matrix in the file, row by row, and the hash of each row of each strip.
  private struct SpooledRegion {
    let spool: Spool
    let rows: Range<Int>
    let columns: Range<Int>
    var strips: [(columns: Range<Int>, digests: [Digest])] = []
  }

  func readByColumns(_ cells: Range<Int>, _ state: inout ReadState) async throws(BlobClientError) {
    let rows = CellBlock.rows(of: cells, columnCount: k2)
    let columns = CellBlock.columns(of: cells, columnCount: k2)
    let byteCount = rows.count * columns.count * s
    guard spoolBudget.take(byteCount) else {
      throw .unavailable(
        reason: "more than f shards of blob \(metadata.blobID) are gone, and the spool is full: it "
          + "has no \(byteCount) bytes left of \(services.configuration.spoolByteCountMax)")
    }
    state.report.isSpooled = true
    sometimes(.readSpooled)
    let result: Result<Void, BlobClientError>
    do {
      let spool = try await Spool.create(on: services.spool, randomness: services.randomness)
      result = await readThrough(spool, cells, rows, columns, &state)
      // The name is random and is not used again: a file left over costs space until the next
      // start.
      do throws(DiskError) { try await spool.remove() } catch {
        services.logger.warning("spool file \(spool.file.name) not removed: \(error)")
      }
    } catch {
      result = .failure(spoolFailed(error))
    }
    spoolBudget.giveBack(byteCount)
    try result.get()
  }

  private func readThrough(
    _ spool: Spool, _ cells: Range<Int>, _ rows: Range<Int>, _ columns: Range<Int>,
    _ state: inout ReadState
  ) async -> Result<Void, BlobClientError> {
    var region = SpooledRegion(spool: spool, rows: rows, columns: columns)
    do {
      let width = max(services.configuration.windowByteCount / (k1 * s), 1)
      for first in stride(from: columns.lowerBound, to: columns.upperBound, by: width) {
        let strip = first..<min(first + width, columns.upperBound)
        try await fill(&region, strip, cells, &state)
      }
      return .success(try await deliver(region, cells))
    } catch {
      return .failure(error)
    }
  }

  /// Fetches the wanted cells of a strip of columns and writes them to the file.
  private func fill(
    _ region: inout SpooledRegion, _ strip: Range<Int>, _ cells: Range<Int>,
    _ state: inout ReadState
  ) async throws(BlobClientError) {
    var wanted = WantedCells(cells: cells, columnCount: k2)
    wanted.keep(columns: strip)
    var block = CellBlock(rows: region.rows, columns: strip, symbolByteCount: s)
    if !wanted.isEmpty {
      do {
        block = try await state.fetch(
          wanted, into: block, .columns, acceptsInconsistency: check == .skip
        ).block
      } catch {
        throw state.error(error)
      }
    }
    let done = block
    region.strips.append(
      (
        strip,
        await services.compute.run {
          done.rows.map { Digest(hashing: Array(done.bytes[done.range(ofRow: $0)])) }
        }
      ))
    do throws(DiskError) {
      for row in region.rows {
        try await region.spool.file.write(
          [Array(block.bytes[block.range(ofRow: row)])],
          at: ((row - region.rows.lowerBound) * region.columns.count
            + strip.lowerBound - region.columns.lowerBound) * s)
      }
    } catch {
      throw spoolFailed(error)
    }
  }

  private func deliver(_ region: SpooledRegion, _ cells: Range<Int>)
    async throws(BlobClientError)
  {
    let rowByteCount = region.columns.count * s
    let step = max(services.configuration.windowByteCount / rowByteCount, 1)
    for first in stride(from: region.rows.lowerBound, to: region.rows.upperBound, by: step) {
      let rows = first..<min(first + step, region.rows.upperBound)
      let bytes: [UInt8]
      do throws(DiskError) {
        bytes = try await region.spool.file.read(
          at: (first - region.rows.lowerBound) * rowByteCount, count: rows.count * rowByteCount)
      } catch {
        throw spoolFailed(error)
      }
      let block = CellBlock(
        rows: rows, columns: region.columns, symbolByteCount: s, bytes: bytes)
      try await checkSpooled(block, region)
      let part = cells.clamped(
        to: rows.lowerBound * k2 + region.columns.lowerBound..<(rows.upperBound - 1) * k2
          + region.columns.upperBound)
      let whole = rows.filter { part.lowerBound <= $0 * k2 && part.upperBound >= ($0 + 1) * k2 }
      if check != .skip {
        do {
          try await checkRows(whole, of: block)
        } catch {
          throw .inconsistent(metadata.blobID)
        }
      }
      try await deliver(block, part)
    }
  }

  private func checkSpooled(_ block: CellBlock, _ region: SpooledRegion)
    async throws(BlobClientError)
  {
    let s = s
    let isIntact = await services.compute.run {
      region.strips.allSatisfy { strip in
        let offset = (strip.columns.lowerBound - block.columns.lowerBound) * s
        return block.rows.allSatisfy { row in
          let start = block.range(ofRow: row).lowerBound + offset
          let bytes = Array(block.bytes[start..<start + strip.columns.count * s])
          return Digest(hashing: bytes) == strip.digests[row - region.rows.lowerBound]
        }
      }
    }
    guard isIntact else {
      throw .unavailable(
        reason:
          "the spool drive gave back other bytes than were written to \(region.spool.file.name)")
    }
  }

  private func spoolFailed(_ error: DiskError) -> BlobClientError {
    .unavailable(
      reason:
        "more than f shards of blob \(metadata.blobID) are gone, and the spool failed: \(error)")
  }
}
