// LieOutcome.swift
//
// What became of a lie that a client told to the honest side.

import Cluster
import ControlPlane
import World

package struct LieOutcome: Sendable, Hashable, CustomStringConvertible {
  package var what: String
  /// What the honest side should say.
  package var expected: String
  package var actual: String
  /// Nothing was granted that must not be. A refusal for another reason, or no answer, grants nothing.
  package var isAsItShouldBe: Bool
  /// The refusal is the one that is expected when nothing else is wrong.
  package var isExact: Bool

  package var description: String { "\(what): expected \(expected), got \(actual)" }
}

extension LieOutcome {
  init(
    _ what: String, expecting reasons: [NodeFailure.Reason],
    _ answer: Result<NodeResponse, TransportError>,
    grants: (NodeResponse) -> Bool
  ) {
    self.what = what
    expected = "a refusal: \(reasons.map(\.rawValue).joined(separator: " or "))"
    switch answer {
    case .failure(let error):
      actual = "no answer: \(error)"
      (isAsItShouldBe, isExact) = (true, false)
    case .success(.failure(let failure)):
      actual = "\(failure.reason.rawValue): \(failure.message)"
      (isAsItShouldBe, isExact) = (true, reasons.contains(failure.reason))
    case .success(let response):
      let refusals = response.refusals
      actual = refusals.first.map { "\($0.reason.rawValue): \($0.message)" } ?? "\(response)"
      isAsItShouldBe = !grants(response)
      isExact = isAsItShouldBe && refusals.allSatisfy { reasons.contains($0.reason) }
    }
  }

  init(_ what: String, refused certify: () async throws -> Void) async {
    self.what = what
    expected = "a refused certificate"
    do {
      try await certify()
      actual = "it is accepted"
      (isAsItShouldBe, isExact) = (false, false)
    } catch let error as RegistryError {
      actual = "\(error)"
      isAsItShouldBe = true
      if case .certificateRefused = error { isExact = true } else { isExact = false }
    } catch let error as CertificateError {
      actual = "no certificate can be made: \(error)"
      (isAsItShouldBe, isExact) = (true, true)
    } catch {
      actual = "\(error)"
      (isAsItShouldBe, isExact) = (true, false)
    }
  }
}

extension NodeResponse {
  /// Of the items of a batch.
  fileprivate var refusals: [NodeFailure] {
    switch self {
    case .storeBatch(let outcomes):
      outcomes.compactMap { if case .refused(let failure) = $0 { failure } else { nil } }
    case .readBatch(let outcomes, _):
      outcomes.compactMap { if case .refused(let failure) = $0 { failure } else { nil } }
    default: []
    }
  }
}
