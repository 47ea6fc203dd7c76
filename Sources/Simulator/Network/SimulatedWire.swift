// SimulatedWire.swift
//
// What both simulated networks do with messages: they pass through the codec's real bytes, so that
// whatever cannot be said over HTTP cannot be said here either, and the bytes can be damaged.

import Cluster
import RedStuff
import World

/// What a node made of the bytes of a request.
struct ServedRequest: Sendable {
  /// Nil where the bytes were none.
  var request: NodeRequest?
  var response: NodeResponse
  var answer: WireResponse
}

extension NodeMessageCodec {
  /// The far side: what a node's server does with a request.
  func serve(_ wire: WireRequest?, with service: any NodeService, deadline: Instant) async
    -> ServedRequest
  {
    guard let wire else {
      return refused(NodeFailure(.malformedRequest, "the query is not percent-encoded UTF-8"))
    }
    let request: NodeRequest
    do {
      request = try decode(wire)
    } catch {
      return refused(error)
    }
    let response = await service.answer(request, deadline: deadline)
    return ServedRequest(
      request: request, response: response, answer: encode(response, to: request))
  }

  private func refused(_ failure: NodeFailure) -> ServedRequest {
    // Any request will do: a failure has one form, whatever it answers.
    ServedRequest(
      response: .failure(failure),
      answer: encode(.failure(failure), to: .health(detailed: false)))
  }

  /// The near side: what the asker's transport makes of an answer.
  func understand(_ answer: WireResponse, to request: NodeRequest, from node: NodeID)
    throws(TransportError) -> NodeResponse
  {
    do {
      return try decode(answer, to: request)
    } catch {
      throw .malformedAnswer(node, "\(error)")
    }
  }
}

extension WireResponse {
  /// Flips one bit, mostly of the body, else of the status.
  mutating func flipBit(_ randomness: any Randomness) {
    guard !body.isEmpty, randomness.number(below: 8) > 0 else {
      status ^= 1 << randomness.number(below: 9)
      return
    }
    body.flipBit(randomness)
  }

  /// Cuts the body off in the middle.
  mutating func truncate() { body.removeLast((body.count + 1) / 2) }
}

extension WireRequest {
  /// With one bit flipped, mostly of the body, else of the target. Nil: a server would not take this
  /// for a request.
  func withFlippedBit(_ randomness: any Randomness) -> WireRequest? {
    var changed = self
    guard body.isEmpty || randomness.number(below: 8) == 0 else {
      changed.body.flipBit(randomness)
      return changed
    }
    var text = Array(target.utf8)
    text.flipBit(randomness)
    return WireRequest(
      method: method, target: String(decoding: text, as: UTF8.self), headers: headers, body: body)
  }

  /// Without the second half of its body, or of its target.
  func truncated() -> WireRequest? {
    var changed = self
    guard body.isEmpty else {
      changed.body.removeLast((body.count + 1) / 2)
      return changed
    }
    let text = target.utf8.prefix(target.utf8.count / 2)
    return WireRequest(
      method: method, target: String(decoding: text, as: UTF8.self), headers: headers, body: [])
  }
}

extension [UInt8] {
  fileprivate mutating func flipBit(_ randomness: any Randomness) {
    guard !isEmpty else { return }
    self[randomness.number(below: count)] ^= 1 << UInt8(randomness.next() & 7)
  }
}
