// Committee.swift
//
// Who keeps what: the nodes of an epoch and the shards of each. A node's shards are a contiguous
// run, so that neighbouring symbols have their second homes on few nodes.
//
// Invariant: every shard below n belongs to exactly one node.

package import RedStuff

/// Where a node stands; the empty string is "not said".
package struct Topology: Hashable, Sendable {
  package var region: String
  package var zone: String
  package var rack: String
  package var host: String

  package init(region: String = "", zone: String = "", rack: String = "", host: String = "") {
    self.region = region
    self.zone = zone
    self.rack = rack
    self.host = host
  }
}

extension Topology {
  /// 0 within a zone, 1 to another zone, 2 to another region. What is not said counts as near.
  package func distance(to other: Topology) -> Int {
    func differ(_ own: String, _ others: String) -> Bool {
      !own.isEmpty && !others.isEmpty && own != others
    }
    if differ(region, other.region) { return 2 }
    return differ(zone, other.zone) ? 1 : 0
  }
}

/// A node as the committee lists it.
package struct CommitteeMember: Hashable, Sendable {
  package var id: NodeID
  /// For people: `node-3`.
  package var name: String
  /// Ed25519, 32 bytes.
  package var publicKey: [UInt8]
  /// `http://host:port`, or empty where the node is reached in its own process only.
  package var address: String
  package var topology: Topology
  /// Shard numbers, below n.
  package var shards: Range<Int>

  package init(
    id: NodeID, name: String, publicKey: [UInt8], address: String, topology: Topology,
    shards: Range<Int>
  ) {
    self.id = id
    self.name = name
    self.publicKey = publicKey
    self.address = address
    self.topology = topology
    self.shards = shards
  }
}

package enum CommitteeError: Error, Equatable, Sendable {
  case noNodes
  case moreNodesThanShards(nodes: Int, shards: Int)
  /// The shards of the members are not a division of `0..<n`.
  case shardsNotCovered(message: String)
  case repeatedNode(NodeID)
  case invalidPublicKey(NodeID, byteCount: Int)
  case invalidParameters(String)
}

package struct Committee: Hashable, Sendable {
  package let epoch: Epoch
  package let parameters: EncodingParameters
  /// In the order of their shards.
  package let members: [CommitteeMember]
  /// shard -> position in `members`
  private let owners: [UInt16]
  private let positions: [NodeID: Int]

  package init(epoch: Epoch, parameters: EncodingParameters, members: [CommitteeMember])
    throws(CommitteeError)
  {
    guard !members.isEmpty else { throw .noNodes }
    guard members.count <= parameters.shardCount else {
      throw .moreNodesThanShards(nodes: members.count, shards: parameters.shardCount)
    }
    // A node without shards, about to leave, sorts before the one that starts where it stands.
    let ordered = members.sorted {
      ($0.shards.lowerBound, $0.shards.upperBound) < ($1.shards.lowerBound, $1.shards.upperBound)
    }
    var positions: [NodeID: Int] = [:]
    var owners: [UInt16] = []
    owners.reserveCapacity(parameters.shardCount)
    for (position, member) in ordered.enumerated() {
      guard positions.updateValue(position, forKey: member.id) == nil else {
        throw .repeatedNode(member.id)
      }
      guard member.publicKey.count == 32 else {
        throw .invalidPublicKey(member.id, byteCount: member.publicKey.count)
      }
      guard member.shards.lowerBound == owners.count,
        member.shards.upperBound <= parameters.shardCount
      else {
        throw .shardsNotCovered(
          message:
            "\(member.name) has shards \(member.shards), the next free one is \(owners.count)")
      }
      owners.append(contentsOf: repeatElement(UInt16(position), count: member.shards.count))
    }
    guard owners.count == parameters.shardCount else {
      throw .shardsNotCovered(message: "shards from \(owners.count) on have no node")
    }
    self.epoch = epoch
    self.parameters = parameters
    self.members = ordered
    self.owners = owners
    self.positions = positions
  }

  /// The member that keeps `shard`, which is below n.
  package func member(keeping shard: ShardIndex) -> CommitteeMember {
    members[Int(owners[Int(shard.value)])]
  }

  package func member(_ id: NodeID) -> CommitteeMember? {
    positions[id].map { members[$0] }
  }

  /// The node that keeps a pair of a blob.
  package func node(keeping pair: SliverPairIndex, of blob: BlobID) -> NodeID {
    member(keeping: pair.shard(of: blob, shardCount: parameters.shardCount)).id
  }

  /// The pairs of a blob that a node keeps, ascending by shard.
  package func pairs(of blob: BlobID, keptBy id: NodeID) -> [SliverPairIndex] {
    guard let member = member(id) else { return [] }
    let rotation = blob.shardRotation(shardCount: parameters.shardCount)
    return member.shards.map {
      ShardIndex(UInt16($0)).pair(rotatedBy: rotation, shardCount: parameters.shardCount)
    }
  }

  /// Divides `shardCount` shards into contiguous runs whose lengths differ by at most one.
  package static func evenRuns(shardCount: Int, nodeCount: Int) -> [Range<Int>] {
    (0..<nodeCount).map { node in
      (node * shardCount / nodeCount)..<((node + 1) * shardCount / nodeCount)
    }
  }
}
