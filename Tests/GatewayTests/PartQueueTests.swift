// PartQueueTests.swift

import NIOCore
import Testing

@testable import Gateway

@Suite(.timeLimit(.minutes(1))) struct PartQueueTests {
  @Test func `small pieces become parts of useful size, in order`() async throws {
    let queue = PartQueue()
    let bytes = someBytes(1_000_000)
    async let sending: Void = {
      for start in stride(from: 0, to: bytes.count, by: 777) {
        try await queue.send(Array(bytes[start..<min(start + 777, bytes.count)]))
      }
      queue.finish(.success(()))
    }()
    var received: [UInt8] = []
    var sizes: [Int] = []
    while let part = try await queue.next() {
      sizes.append(part.readableBytes)
      received += Array(part.readableBytesView)
    }
    try await sending
    #expect(received == bytes)
    #expect(sizes.dropLast().allSatisfy { $0 >= PartQueue.partByteCountMin })
  }

  @Test func `the sender waits for the receiver`() async throws {
    let queue = PartQueue()
    let part = [UInt8](repeating: 1, count: PartQueue.partByteCountMin)
    try await queue.send(part)
    let second = Task {
      try await queue.send(part)
      return true
    }
    for _ in 0..<100 { await Task.yield() }
    #expect(try await queue.next()?.readableBytes == part.count)
    #expect(try await second.value)
  }

  @Test func `an error comes after the parts before it`() async throws {
    struct Broken: Error {}
    let queue = PartQueue()
    try await queue.send([1, 2, 3])
    queue.finish(.failure(Broken()))
    #expect(try await queue.next()?.readableBytes == 3)
    await #expect(throws: Broken.self) { _ = try await queue.next() }
  }

  @Test func `a cancelled receiver stops waiting`() async throws {
    let queue = PartQueue()
    let receiver = Task { try await queue.next() == nil }
    for _ in 0..<100 { await Task.yield() }
    receiver.cancel()
    await #expect(throws: CancellationError.self) { _ = try await receiver.value }
  }

  @Test func `a cancelled sender stops waiting`() async throws {
    let queue = PartQueue()
    let part = [UInt8](repeating: 1, count: PartQueue.partByteCountMin)
    let sender = Task { for _ in 0..<3 { try await queue.send(part) } }
    for _ in 0..<100 { await Task.yield() }
    sender.cancel()
    await #expect(throws: CancellationError.self) { try await sender.value }
  }
}
