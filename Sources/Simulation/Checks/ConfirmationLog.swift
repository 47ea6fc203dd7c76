// ConfirmationLog.swift
//
// Every confirmation that an honest node signed and let go, as its answer left it. From then on the
// slivers must be there whatever happens, until the registration ends.

import Cluster
import RedStuff
import Synchronization

struct SignedPromise: Hashable, Sendable {
  var node: NodeID
  var blob: BlobID
  var object: ObjectID
}

final class ConfirmationLog: Sendable {
  private let state = Mutex(Set<SignedPromise>())

  var all: [SignedPromise] {
    state.withLock { promises in
      promises.sorted { ($0.blob, $0.node, $0.object) < ($1.blob, $1.node, $1.object) }
    }
  }

  func note(_ request: NodeRequest, _ response: NodeResponse, from node: NodeID) {
    switch (request, response) {
    case (_, .storeBatch(let outcomes)):
      for case .confirmed(let confirmation) in outcomes {
        add(SignedPromise(node: node, blob: confirmation.blob, object: confirmation.object))
      }
    case (.confirmation(let blob, .deletable(let object), _), .confirmation):
      add(SignedPromise(node: node, blob: blob, object: object))
    default: break
    }
  }

  private func add(_ promise: SignedPromise) { state.withLock { _ = $0.insert(promise) } }
}
