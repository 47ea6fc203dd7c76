// GatewayCalls.swift
//
// The HTTP calls of the command: to the gateway over TCP and to the administration socket in the
// data directory. Errors come back as the sentence that the server said, or as what to do when
// nobody answers.

import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1

/// The error envelope of every server here.
private struct ErrorEnvelope: Decodable {
  struct Body: Decodable {
    let status: String
    let message: String
  }
  let error: Body
}

struct GatewayCalls {
  /// Answers that are read whole are lists and records; blobs are streamed.
  private static let answerByteCountMax = 64 << 20
  /// A store may wait for memory on the server and for slow nodes.
  private static let callTimeout = TimeAmount.minutes(60)
  private static let connectTimeout = TimeAmount.seconds(5)
  /// Lives as long as the process. Who is not there is not asked again: the user wants to know now.
  private static let client: HTTPClient = {
    var configuration = HTTPClient.Configuration(
      timeout: .init(connect: connectTimeout))
    configuration.connectionPool.retryConnectionEstablishment = false
    return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
  }()

  let base: String
  /// What to tell when nobody answers.
  let hint: String

  /// Calls to a gateway of this process.
  init(base: String) {
    self.base = base
    hint = "it should be running in this process."
  }

  init(_ option: GatewayOption) {
    base = option.base
    hint = "is `walrus up` running there? Another address is given with --url."
  }

  /// Calls over the administration socket of a data directory.
  init(_ option: DataOption) throws {
    let path = URL(fileURLWithPath: option.directory).appendingPathComponent("admin.sock").path
    guard FileManager.default.fileExists(atPath: path) else {
      throw CommandFailure(
        "no cluster runs on \(option.directory) (there is no \(path)); start one with "
          + "`walrus up --data \(option.directory)`, or name its directory with --data.")
    }
    guard let escaped = path.addingPercentEncoding(withAllowedCharacters: .alphanumerics) else {
      throw CommandFailure("the path \(path) cannot be used as a socket address.")
    }
    base = "http+unix://\(escaped)"
    hint = "is `walrus up --data \(option.directory)` running?"
  }

  /// Sends a request; the body of the answer is not read yet.
  func send(
    _ method: HTTPMethod, _ path: String, headers: [(String, String)] = [],
    body: HTTPClientRequest.Body? = nil
  ) async throws -> HTTPClientResponse {
    var request = HTTPClientRequest(url: base + path)
    request.method = method
    request.headers = HTTPHeaders(headers)
    request.body = body
    let response: HTTPClientResponse
    do {
      response = try await Self.client.execute(request, timeout: Self.callTimeout)
    } catch {
      throw CommandFailure("no answer from \(base): \(error); \(hint)")
    }
    guard (200..<300).contains(Int(response.status.code)) else {
      throw await failure(response)
    }
    return response
  }

  /// Sends a request and decodes the whole JSON answer.
  func json<Value: Decodable>(
    _ type: Value.Type, _ method: HTTPMethod, _ path: String,
    body: HTTPClientRequest.Body? = nil, headers: [(String, String)] = []
  ) async throws -> Value {
    let response = try await send(method, path, headers: headers, body: body)
    let data = try await response.body.collect(upTo: Self.answerByteCountMax)
    do {
      return try JSONDecoder().decode(type, from: Data(data.readableBytesView))
    } catch {
      throw CommandFailure(
        "\(base)\(path) answered what this version does not understand: \(error)")
    }
  }

  private func failure(_ response: HTTPClientResponse) async -> CommandFailure {
    let body = try? await response.body.collect(upTo: 1 << 20)
    let data = Data(body.map { Array($0.readableBytesView) } ?? [])
    if let envelope = try? JSONDecoder().decode(ErrorEnvelope.self, from: data) {
      return CommandFailure("\(envelope.error.message) (\(envelope.error.status))")
    }
    return CommandFailure("the server answered \(response.status)")
  }
}

/// A value for one URL query item or path segment.
func urlEscaped(_ text: String) -> String {
  text.addingPercentEncoding(
    withAllowedCharacters: .alphanumerics.union(CharacterSet(charactersIn: "-_.~"))) ?? text
}

/// A file as a sequence of buffers, for uploads.
struct FileChunks: AsyncSequence, Sendable {
  typealias Element = ByteBuffer
  static let chunkByteCount = 1 << 20

  let path: String
  let progress: ProgressBar

  struct AsyncIterator: AsyncIteratorProtocol {
    let handle: FileHandle?
    let path: String
    let progress: ProgressBar

    mutating func next() async throws -> ByteBuffer? {
      guard let handle else { throw CommandFailure("cannot read \(path)") }
      guard let data = try handle.read(upToCount: FileChunks.chunkByteCount), !data.isEmpty else {
        return nil
      }
      progress.advance(by: data.count)
      return ByteBuffer(bytes: data)
    }
  }

  func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(handle: FileHandle(forReadingAtPath: path), path: path, progress: progress)
  }
}
