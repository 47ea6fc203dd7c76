// RegistryError.swift
//
// Why the registry refused, and what the caller can do next. Every case names the thing it is about.
// `unavailable` is the only case after which it is unknown whether the change happened; all changes
// except `register` and `extend` may then simply be asked for again.

package import Cluster
package import RedStuff
package import World

package enum RegistryError: Error, Equatable, Sendable {
  /// The store holds no cluster yet; create one first.
  case clusterMissing
  /// The store already holds this cluster; open it instead of creating another one.
  case alreadyExists(ClusterID)
  /// The description of a cluster cannot be used; correct it.
  case invalidCluster(String)
  case unknownNode(NodeID)

  /// No such registration; a null object asked for any certified one of the blob.
  case notFound(BlobID, ObjectID?)
  /// Registered, but not certified: finish the upload first.
  case notCertified(BlobID, ObjectID)
  /// Cannot be deleted before this epoch.
  case permanentUntil(Epoch, BlobID, ObjectID)
  /// Not certified in time, its slivers may be gone: store the blob again.
  case abandoned(BlobID, ObjectID)
  /// Deleted or expired: store the blob again.
  case ended(RegistrationEnd, BlobID, ObjectID)
  /// Certify only: the certificate proves nothing about this registration.
  case certificateRefused(String, BlobID, ObjectID)

  /// A permanent registration, and an extension, need a number of epochs of at least 1.
  case epochsNeeded(BlobID)
  /// The end would lie past the last epoch that can be counted; ask for fewer.
  case tooManyEpochs(UInt32, BlobID)
  /// This cluster's epochs do not end, so nothing can be permanent or extended.
  case noEpochDuration
  /// The registration never ends, so there is nothing to extend.
  case withoutEnd(BlobID, ObjectID)

  /// So many uploads of this process are registered but not certified: wait until some are.
  case tooManyOutstanding(countMax: Int)
  /// So many registrations of this one blob live: delete some of them.
  case tooManyRegistrations(BlobID, countMax: Int)

  /// Others changed the same thing at every attempt; nothing was changed. Try again later.
  case conflict(String, attempts: Int)
  /// The store does not answer. Whether a change happened is unknown.
  case unavailable(String)
  /// The changes asked for are no longer kept: read all blobs again, then follow from there.
  case compacted(oldest: Revision)
  /// A stored value cannot be read: written by a newer version, or damaged. Nothing was changed.
  case unreadable(key: String, String)

  package init(_ error: ControlStoreError) {
    switch error {
    case .unavailable(let reason): self = .unavailable(reason)
    case .compacted(let oldest): self = .compacted(oldest: oldest)
    }
  }
}

extension RegistryError: CustomStringConvertible {
  /// For people.
  package var description: String {
    switch self {
    case .clusterMissing: "the control store holds no cluster; create one first"
    case .alreadyExists(let id): "the control store already holds cluster \(id); open it instead"
    case .invalidCluster(let reason): "the cluster cannot be described like this: \(reason)"
    case .unknownNode(let node): "\(node) is not a member of the cluster"
    case .notFound(let blob, nil): "blob \(blob) has no certified registration"
    case .notFound(let blob, let object?): "blob \(blob) has no registration \(object)"
    case .notCertified(let blob, let object):
      "registration \(object) of blob \(blob) is not certified; finish the upload first"
    case .permanentUntil(let epoch, let blob, let object):
      "registration \(object) of blob \(blob) is permanent until epoch \(epoch)"
    case .abandoned(let blob, let object):
      "registration \(object) of blob \(blob) was not certified in time; store the blob again"
    case .ended(let end, let blob, let object):
      "registration \(object) of blob \(blob) has ended (\(end)); store the blob again"
    case .certificateRefused(let reason, let blob, let object):
      "the certificate does not certify registration \(object) of blob \(blob): \(reason)"
    case .epochsNeeded(let blob): "say for how many epochs (1 or more) to keep blob \(blob)"
    case .tooManyEpochs(let count, let blob):
      "blob \(blob) cannot be kept for \(count) more epochs; ask for fewer"
    case .noEpochDuration:
      "the epochs of this cluster do not end; nothing can be permanent or extended"
    case .withoutEnd(let blob, let object):
      "registration \(object) of blob \(blob) never ends; there is nothing to extend"
    case .tooManyOutstanding(let max):
      "\(max) uploads are registered but not certified; wait until some are"
    case .tooManyRegistrations(let blob, let max):
      "blob \(blob) is registered \(max) times; delete some registrations first"
    case .conflict(let what, let attempts):
      "others changed the same thing during \(attempts) attempts to \(what); try again later"
    case .unavailable(let reason): "the control store does not answer: \(reason)"
    case .compacted(let oldest):
      "changes before \(oldest) are no longer kept; read all blobs, then follow from there"
    case .unreadable(let key, let reason): "the value of \(key) cannot be read: \(reason)"
    }
  }
}
