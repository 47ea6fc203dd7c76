// FailureTests.swift
//
// Which status and reason a client gets for each error of the system behind.

import BlobClient
import Cluster
import ControlPlane
import Foundation
import HTTPTypes
import RedStuff
import Testing

@testable import Gateway

@Suite struct FailureTests {
  private static let blob = FakeBlobService.blobID(of: [1])
  private static let object = someObjectID(2)

  @Test(
    arguments: [
      (.notFound(blob), 404, "BLOB_NOT_FOUND"),
      (.unavailable(reason: "x"), 503, "BLOB_UNAVAILABLE"),
      (.tooLarge(limit: 5), 413, "BLOB_TOO_LARGE"),
      (.rangeOutsideBlob(size: 5), 416, "INVALID_BYTE_RANGE"),
      (
        .insufficientConfirmations(shards: 6, required: 7, reasons: [:]), 504,
        "INSUFFICIENT_CONFIRMATIONS"
      ),
      (.forbidden(blob), 451, "FORBIDDEN_BLOB"),
      (.shuttingDown, 503, "SHUTTING_DOWN"),
      (.registry(.unavailable("x")), 503, "REGISTRY_UNAVAILABLE"),
      (.registry(.noEpochDuration), 400, "INVALID_BLOB_PERSISTENCE"),
      (.registry(.epochsNeeded(blob)), 400, "INVALID_BLOB_PERSISTENCE"),
      (.registry(.tooManyOutstanding(countMax: 9)), 429, "TOO_MANY_REGISTRATIONS"),
      (.registry(.permanentUntil(9, blob, object)), 403, "BLOB_IS_PERMANENT"),
      (.registry(.notFound(blob, object)), 404, "REGISTRATION_NOT_FOUND"),
      (.registry(.abandoned(blob, object)), 400, "REGISTRATION_STATE"),
    ] as [(BlobClientError, Int, String)])
  func `errors become status and reason`(error: BlobClientError, status: Int, reason: String) {
    let failure = GatewayFailure(error)
    #expect(failure.httpStatus == status)
    #expect(failure.reason == reason)
    #expect(!failure.message.isEmpty)
  }

  @Test func `what may pass says when to come back`() {
    for error in [
      .unavailable(reason: "x"), .shuttingDown, .registry(.conflict("x", attempts: 3)),
      .registry(.tooManyOutstanding(countMax: 9)),
    ] as [BlobClientError] {
      #expect(GatewayFailure(error).headers[.retryAfter] != nil, "\(error)")
    }
  }

  @Test func `the envelope has the reference's fields`() throws {
    let failure = GatewayFailure(
      .notFound, "BLOB_NOT_FOUND", "there is none", metadata: ["a": "b"])
    let data = try JSONEncoder().encode(GatewayErrorEnvelope(failure))
    let root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let error = try #require(root["error"] as? [String: Any])
    let details = try #require(error["details"] as? [[String: Any]])
    #expect(error["status"] as? String == "NOT_FOUND")
    #expect(error["code"] as? Int == 404)
    #expect(error["message"] as? String == "there is none")
    #expect(details.count == 1)
    #expect(details[0]["@type"] as? String == "ErrorInfo")
    #expect(details[0]["reason"] as? String == "BLOB_NOT_FOUND")
    #expect(details[0]["domain"] as? String == "daemon.walrus.space")
    #expect(details[0]["metadata"] as? [String: String] == ["a": "b"])
    #expect(details[0].count == 4)
  }
}
