// CertificateTests.swift
//
// Which confirmations make a blob exist, and which do not.

import Cluster
import RedStuff
import Testing

@Suite struct CertificateTests {
  /// Ten shards on five nodes with two each: n - f = 7, which takes four nodes.
  private let cluster = ClusterID.bytes([UInt8](repeating: 0xC1, count: 32))
  private let blob = BlobID.repeating(0xB1)
  private let object = ObjectID.bytes([UInt8](repeating: 0x0B, count: 32))
  private let signers: [NodeSigner]
  private let committee: Committee

  init() throws {
    signers = try (0..<5).map {
      try NodeSigner(node: NodeID($0), privateKey: [UInt8](repeating: UInt8($0) + 1, count: 32))
    }
    let members = signers.map { signer in
      let first = 2 * Int(signer.node.value)
      return CommitteeMember(
        id: signer.node, name: "node-\(signer.node.value)", publicKey: signer.publicKey,
        address: "", topology: Topology(), shards: first..<first + 2)
    }
    committee = try Committee(
      epoch: 3, parameters: try EncodingParameters(shardCount: 10), members: members)
  }

  @Test func `an Ed25519 key signs as RFC 8032 says`() throws {
    // Section 7.1, test 1: the empty message.
    let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
    let publicKey = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    let signature =
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
      + "d25bf5f0595bbe24655141438e7a100b"
    let signer = try NodeSigner(node: NodeID(1), privateKey: try #require([UInt8](hex: seed)))
    #expect(signer.publicKey.hex == publicKey)
    #expect(signer.sign([]).hex == signature)
    #expect(NodeSigner.isValid(signer.sign([]), of: [], publicKey: signer.publicKey))
  }

  @Test(arguments: [0, 31, 33])
  func `a private key of another length is refused`(byteCount: Int) {
    #expect(throws: NodeSignerError.invalidPrivateKey(NodeID(9), byteCount: byteCount)) {
      try NodeSigner(node: NodeID(9), privateKey: [UInt8](repeating: 1, count: byteCount))
    }
  }

  @Test func `the signed bytes name cluster, node, epoch, blob and registration`() {
    let bytes = StorageConfirmation.signedBytes(
      cluster: cluster, node: NodeID(0x0102), epoch: 0x0304_0506, blob: blob, object: object)
    let expected = joined(
      Array("walrus-swift storage confirmation v1\n".utf8), cluster.bytes,
      [0x02, 0x01, 0x06, 0x05, 0x04, 0x03], blob.bytes, object.bytes)
    #expect(bytes == expected)
  }

  @Test func `a confirmation is good for what it names and nothing else`() {
    let good = confirmation(by: 0)
    let key = signers[0].publicKey
    #expect(good.verify(cluster: cluster, publicKey: key))
    #expect(!good.verify(cluster: cluster, publicKey: signers[1].publicKey))
    #expect(!good.verify(cluster: cluster, publicKey: []))
    #expect(!good.verify(cluster: ClusterID.bytes(blob.bytes), publicKey: key))
    var other = good
    other.node = NodeID(1)
    #expect(!other.verify(cluster: cluster, publicKey: key))
    other = good
    other.epoch += 1
    #expect(!other.verify(cluster: cluster, publicKey: key))
    other = good
    other.blob = BlobID(.zero)
    #expect(!other.verify(cluster: cluster, publicKey: key))
    other = good
    other.object = ObjectID.bytes(blob.bytes)
    #expect(!other.verify(cluster: cluster, publicKey: key))
    other = good
    other.signature.removeLast()
    #expect(!other.verify(cluster: cluster, publicKey: key))
    other.signature = []
    #expect(!other.verify(cluster: cluster, publicKey: key))
  }

  @Test func `nodes with enough shards certify a blob`() throws {
    for chosen in [[0, 1, 2, 3], [4, 2, 1, 0], [0, 1, 2, 3, 4]] {
      let certificate = try certificate(by: chosen)
      try certificate.verify(committee: committee, cluster: cluster)
      try certificate.verify(blob: blob, object: object, committee: committee, cluster: cluster)
      #expect(certificate.signers.map(\.node.value) == chosen.sorted().map { UInt16($0) })
    }
  }

  @Test func `shards count, not nodes`() throws {
    #expect(throws: CertificateError.tooFewShards(held: 6, needed: 7)) {
      try certificate(by: [0, 1, 2]).verify(committee: committee, cluster: cluster)
    }
    // One node with seven shards is enough by itself.
    var members = committee.members
    members[0].shards = 0..<7
    for position in 1..<4 { members[position].shards = position + 6..<position + 7 }
    members.removeLast()
    let uneven = try Committee(epoch: 3, parameters: committee.parameters, members: members)
    try certificate(by: [0]).verify(committee: uneven, cluster: cluster)
    #expect(throws: CertificateError.tooFewShards(held: 3, needed: 7)) {
      try certificate(by: [1, 2, 3]).verify(committee: uneven, cluster: cluster)
    }
  }

  @Test func `a node counts once`() throws {
    let repeated = [0, 1, 2, 2].map { confirmation(by: $0) }
    #expect(throws: CertificateError.repeatedNode(NodeID(2))) {
      try Certificate(confirmations: repeated)
    }
    // The same in bytes: node 2 written over node 3.
    var bytes = try certificate(by: [0, 1, 2, 3]).encoded()
    bytes[70 + 3 * 66] = 2
    #expect(throws: CertificateError.self) { try Certificate(decoding: bytes) }
  }

  @Test func `confirmations of different things make none`() {
    var other = confirmation(by: 1)
    other.epoch = 4
    #expect(throws: CertificateError.mixedConfirmations(NodeID(1))) {
      try Certificate(confirmations: [confirmation(by: 0), other])
    }
    #expect(throws: CertificateError.noConfirmations) { try Certificate(confirmations: []) }
  }

  @Test func `another cluster, epoch, committee or registration is refused`() throws {
    let certificate = try certificate(by: [0, 1, 2, 3])
    #expect(throws: CertificateError.invalidSignature(NodeID(0))) {
      try certificate.verify(committee: committee, cluster: ClusterID.bytes(blob.bytes))
    }
    let later = try Committee(
      epoch: 4, parameters: committee.parameters, members: committee.members)
    #expect(throws: CertificateError.otherEpoch(3, committeeEpoch: 4)) {
      try certificate.verify(committee: later, cluster: cluster)
    }
    #expect(throws: CertificateError.otherRegistration(blob: blob, object: object)) {
      try certificate.verify(
        blob: blob, object: ObjectID.bytes(blob.bytes), committee: committee, cluster: cluster)
    }
    #expect(throws: CertificateError.otherRegistration(blob: blob, object: object)) {
      try certificate.verify(
        blob: BlobID(.zero), object: object, committee: committee, cluster: cluster)
    }
    var members = committee.members
    members[2] = CommitteeMember(
      id: NodeID(77), name: "new", publicKey: members[2].publicKey, address: "",
      topology: Topology(), shards: members[2].shards)
    let changed = try Committee(epoch: 3, parameters: committee.parameters, members: members)
    #expect(throws: CertificateError.unknownNode(NodeID(2))) {
      try certificate.verify(committee: changed, cluster: cluster)
    }
  }

  @Test func `no signature may be wrong by a bit`() throws {
    let bytes = try certificate(by: [0, 1, 2, 3]).encoded()
    for position in 0..<4 {
      var flipped = bytes
      flipped[70 + position * 66 + 2 + 13 * position] ^= 1
      let certificate = try Certificate(decoding: flipped)
      #expect(throws: CertificateError.invalidSignature(NodeID(UInt16(position)))) {
        try certificate.verify(committee: committee, cluster: cluster)
      }
    }
  }

  @Test func `a certificate survives its bytes`() throws {
    let certificate = try certificate(by: [3, 0, 1, 4])
    let bytes = certificate.encoded()
    let head = joined([1, 3, 0, 0, 0], blob.bytes, object.bytes, [4])
    #expect(Array(bytes.prefix(70)) == head)
    #expect(bytes.count == 70 + 4 * 66)
    #expect(try Certificate(decoding: bytes) == certificate)
    #expect(certificate.confirmations == [0, 1, 3, 4].map { confirmation(by: $0) })
  }

  @Test func `another version and a certificate of nobody are refused`() throws {
    var bytes = try certificate(by: [0]).encoded()
    bytes[0] = 2
    #expect(throws: CertificateError.self) { try Certificate(decoding: bytes) }
    bytes = Array(bytes.prefix(70))
    bytes[0] = 1
    bytes[69] = 0
    #expect(throws: CertificateError.self) { try Certificate(decoding: bytes) }
  }

  private func confirmation(by position: Int) -> StorageConfirmation {
    signers[position].confirm(cluster: cluster, epoch: 3, blob: blob, object: object)
  }

  private func certificate(by positions: [Int]) throws -> Certificate {
    try Certificate(confirmations: positions.map { confirmation(by: $0) })
  }
}
