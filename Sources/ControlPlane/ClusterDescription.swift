// ClusterDescription.swift
//
// What the operator decided when the cluster was made: its name, its shards, who keeps them, and how
// long an epoch is. Stands under one key of the control store; every process reads it from there.
//
// Invariant: a description that exists has a valid committee, so nobody need check it again.
//
// Its bytes (BCS): version 01, cluster ID [32], shard count u32, epoch duration in milliseconds
// (optional u64), members (`CommitteeMember`).

package import Cluster
package import RedStuff
import World

package struct ClusterDescription: Hashable, Sendable {
  static let version: UInt8 = 1
  /// Ten seconds: an epoch shorter than a maintenance round would never be over in time.
  package static let epochDurationMin = Duration.seconds(10)
  /// A URL or a host name in one line.
  package static let textByteCountMax = 512

  package let clusterID: ClusterID
  package let shardCount: Int
  /// Whole milliseconds; nil: epochs do not end, and nothing expires.
  package let epochDuration: Duration?
  /// In the order of their shards.
  package let members: [CommitteeMember]

  private let parameters: EncodingParameters

  /// - Throws: `RegistryError.invalidCluster` if no committee can be made of it.
  package init(
    clusterID: ClusterID, shardCount: Int, epochDuration: Duration?, members: [CommitteeMember]
  ) throws(RegistryError) {
    if let epochDuration, epochDuration < Self.epochDurationMin {
      throw .invalidCluster("an epoch of \(epochDuration) is below \(Self.epochDurationMin)")
    }
    for member in members {
      let topology = member.topology
      for text in [
        member.name, member.address, topology.region, topology.zone, topology.rack, topology.host,
      ] where text.utf8.count > Self.textByteCountMax {
        throw .invalidCluster("\(member.id) has a text above \(Self.textByteCountMax) bytes")
      }
    }
    do {
      parameters = try EncodingParameters(shardCount: shardCount)
    } catch {
      throw .invalidCluster("\(error)")
    }
    let committee: Committee
    do {
      committee = try Committee(epoch: 1, parameters: parameters, members: members)
    } catch {
      throw .invalidCluster("\(error)")
    }
    self.clusterID = clusterID
    self.shardCount = shardCount
    self.epochDuration = epochDuration.map { .milliseconds($0.wholeNanoseconds / 1_000_000) }
    self.members = committee.members
  }

  /// The members as the committee of `epoch`.
  package func committee(of epoch: Epoch) throws(RegistryError) -> Committee {
    do {
      return try Committee(epoch: epoch, parameters: parameters, members: members)
    } catch {
      throw .invalidCluster("\(error)")
    }
  }

  /// The description with a member's address or place changed; its key and shards stay.
  func updating(_ node: NodeID, address: String?, topology: Topology?)
    throws(RegistryError) -> ClusterDescription
  {
    guard let position = members.firstIndex(where: { $0.id == node }) else {
      throw .unknownNode(node)
    }
    var members = members
    if let address { members[position].address = address }
    if let topology { members[position].topology = topology }
    return try ClusterDescription(
      clusterID: clusterID, shardCount: shardCount, epochDuration: epochDuration, members: members)
  }
}

extension ClusterDescription: BCSCodable {
  package init(from reader: inout BCSReader) throws(BCSError) {
    try reader.readVersion(Self.version, of: "ClusterDescription")
    let clusterID: ClusterID = try reader.read()
    let shardCount = Int(try reader.readUInt32())
    let milliseconds = try reader.readOptional { (reader) throws(BCSError) in
      try reader.readUInt64()
    }
    let members: [CommitteeMember] = try reader.readArray(
      countMax: EncodingParameters.shardCountMax)
    do {
      try self.init(
        clusterID: clusterID, shardCount: shardCount,
        epochDuration: milliseconds.map { .milliseconds(Int64(clamping: $0)) }, members: members)
    } catch {
      throw .invalidValue(type: "ClusterDescription", reason: "\(error)")
    }
  }

  package func encode(to writer: inout BCSWriter) {
    writer.write(Self.version)
    writer.write(clusterID)
    writer.write(UInt32(shardCount))
    writer.writeOptional(epochDuration) { (writer, duration) in
      writer.write(UInt64(clamping: duration.wholeNanoseconds / 1_000_000))
    }
    writer.write(members)
  }
}
