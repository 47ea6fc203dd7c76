// Download.swift
//
// The bytes of an answer to a file or to standard output, with progress, and with the file in place
// only when all of them have come.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

extension GatewayCalls {
  /// - Parameters:
  ///   - out: the file; nil for standard output.
  ///   - label: what the progress bar calls it.
  /// - Returns: the number of bytes.
  func download(
    _ path: String, to out: String?, label: String, headers: [(String, String)] = []
  ) async throws -> Int {
    let response = try await send(.GET, path, headers: headers)
    let expected = response.headers.first(name: "Content-Length").flatMap(UInt64.init)
    let progress = ProgressBar(label, totalCount: expected ?? 0)
    defer { progress.finish() }
    let target = try OutputFile(path: out)
    var byteCount = 0
    do {
      for try await buffer in response.body {
        try target.write(Data(buffer.readableBytesView))
        byteCount += buffer.readableBytes
        progress.advance(by: buffer.readableBytes)
      }
      if let expected, UInt64(byteCount) != expected {
        throw CommandFailure("the answer ended after \(byteCount) of \(expected) bytes; try again.")
      }
      try target.commit()
    } catch {
      target.abandon()
      throw error
    }
    return byteCount
  }
}
