// Generators.swift
//
// Random values for properties, from a seed that a failing test prints.

import Cluster
import RedStuff
import Testing

/// SplitMix64: small, and the same on every machine.
struct Dice: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
  mutating func bool() -> Bool { Bool.random(using: &self) }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) }
  }

  /// A number of any magnitude, large ones as likely as small ones.
  mutating func number<Value: FixedWidthInteger & UnsignedInteger>(_: Value.Type = Value.self)
    -> Value
  {
    Value.random(in: 0...Value.max, using: &self) >> Value(below(Value.bitWidth))
  }

  mutating func text() -> String {
    let alphabet: [Character] = ["a", "Z", "9", " ", "\"", "\\", "/", "\n", "\u{0}", "ü", "€", "🐋"]
    return String((0..<below(12)).map { _ in alphabet[below(alphabet.count)] })
  }

  mutating func list<Element>(_ countMax: Int, _ element: (inout Dice) -> Element) -> [Element] {
    (0..<below(countMax + 1)).map { _ in element(&self) }
  }

  mutating func optional<Value>(_ value: (inout Dice) -> Value) -> Value? {
    bool() ? value(&self) : nil
  }
}

extension Dice {
  mutating func digest() -> Digest { Digest(bytes: bytes(32)) ?? .zero }
  mutating func blob() -> BlobID { BlobID(digest()) }
  mutating func object() -> ObjectID { .bytes(bytes(32)) }
  mutating func axis() -> SliverAxis { bool() ? .primary : .secondary }
  mutating func pair(_ n: Int) -> SliverPairIndex { SliverPairIndex(UInt16(below(n))) }
  mutating func index(_ n: Int) -> SliverIndex { SliverIndex(UInt16(below(n))) }
  mutating func node() -> MerkleNode { below(8) == 0 ? .empty : .digest(digest()) }
  mutating func proof() -> MerkleProof { MerkleProof(path: list(6) { $0.node() }) }

  mutating func metadata(_ parameters: EncodingParameters) -> BlobMetadata {
    BlobMetadata(
      blobByteCount: number() % (parameters.blobByteCountMax + 1),
      hashes: (0..<parameters.shardCount).map { _ in
        SliverPairHashes(primary: node(), secondary: node())
      })
  }

  mutating func sliver(_ n: Int, axis: SliverAxis? = nil, index: SliverIndex? = nil) -> Sliver {
    let symbolByteCount = 2 * (1 + below(40))
    return Sliver(
      axis: axis ?? self.axis(), index: index ?? self.index(n), symbolByteCount: symbolByteCount,
      bytes: bytes(symbolByteCount * below(8)))
  }

  mutating func decodingSymbol(_ n: Int) -> DecodingSymbol {
    DecodingSymbol(sourceIndex: index(n), bytes: bytes(below(20)))
  }

  mutating func confirmation(blob: BlobID, object: ObjectID) -> StorageConfirmation {
    StorageConfirmation(
      node: NodeID(number()), epoch: number(), blob: blob, object: object, signature: bytes(64))
  }

  mutating func signedMessage() -> SignedMessageAnswer {
    SignedMessageAnswer(message: bytes(below(100)), signature: bytes(64))
  }

  mutating func failure() -> NodeFailure {
    NodeFailure(NodeFailure.Reason.allCases[below(NodeFailure.Reason.allCases.count)], text())
  }

  mutating func counts() -> DeletableCounts {
    DeletableCounts(total: Int(number(UInt32.self)), certified: Int(number(UInt32.self)))
  }

  mutating func storeEntry(_ parameters: EncodingParameters) -> StoreEntry {
    StoreEntry(
      blob: blob(), object: object(), metadata: optional { $0.metadata(parameters) },
      slivers: list(4) { $0.sliver(parameters.shardCount) }, wantsConfirmation: bool())
  }

  mutating func readItem(_ n: Int) -> ReadItem {
    let first = below(n)
    let form = below(3)
    return ReadItem(
      blob: blob(), pair: pair(n), axis: axis(), symbols: first..<first + 1 + below(n - first),
      wantsPaths: form > 0, wantsSignature: form == 2)
  }

  mutating func member(shards: Range<Int> = 0..<1) -> CommitteeMember {
    CommitteeMember(
      id: NodeID(number()), name: text(), publicKey: bytes(32), address: text(),
      topology: Topology(region: text(), zone: text(), rack: text(), host: text()),
      shards: shards)
  }

  mutating func registration() -> Registration {
    let state: RegistrationState =
      switch below(3) {
      case 0: .registered
      case 1: .certified(epoch: number(), certificate: bytes(below(200)))
      default: .ended([.deleted, .expired, .abandoned][below(3)])
      }
    return Registration(
      blob: blob(), object: object(), byteCount: number(),
      persistence: bool() ? .permanent : .deletable, registeredEpoch: number(),
      endEpoch: number(), registeredAtMilliseconds: number(), certifyByMilliseconds: number(),
      state: state)
  }

  /// A number of every kind, without fractions that text would round.
  mutating func json(depth: Int = 0) -> JSONValue {
    switch below(depth < 4 ? 8 : 6) {
    case 0: return .null
    case 1: return .bool(bool())
    case 2: return .integer(number(UInt64.self))
    case 3: return .integer(Int64(bitPattern: number(UInt64.self)))
    case 4:
      let value = Double(bitPattern: next())
      return .double(value.isFinite ? value : 0.5)
    case 5: return .string(text())
    case 6: return .array(list(5) { $0.json(depth: depth + 1) })
    default:
      var names: Set<String> = []
      let members = list(5) { JSONMember($0.text(), $0.json(depth: depth + 1)) }
      return .object(members.filter { names.insert($0.name).inserted })
    }
  }
}

extension Dice {
  /// Kinds of requests: `request(kind:)` takes a number below it.
  static let requestKindCount = 14

  mutating func request(kind: Int, _ parameters: EncodingParameters) -> NodeRequest {
    let n = parameters.shardCount
    switch kind {
    case 0: return .metadata(blob())
    case 1: return .metadataStatus(blob())
    case 2: return .storeMetadata(blob(), metadata(parameters))
    case 3: return .sliver(blob(), pair(n), axis())
    case 4: return .sliverStatus(blob(), pair(n), axis())
    case 5: return .storeSliver(blob(), pair(n), sliver(n))
    case 6:
      let waitMax = NodeMessageLimits.registrationWaitMillisecondsMax
      return .confirmation(
        blob(), bool() ? .permanent : .deletable(object()),
        waitMilliseconds: UInt64(bool() ? 0 : below(waitMax + 1)))
    case 7:
      let symbols = (0...below(5)).map { _ in SymbolID(primary: index(n), secondary: index(n)) }
      return .recoverySymbols(
        blob(), bool() ? .symbols(symbols) : .target(index(n), axis()),
        proofAxis: optional { $0.axis() })
    case 8:
      return .decodingSymbols(
        blob(), targets: (0...below(5)).map { _ in index(n) }, targetAxis: axis())
    case 9:
      let symbols = list(4) { RecoverySymbol(symbol: $0.decodingSymbol(n), proof: $0.proof()) }
      return .inconsistencyProof(
        blob(),
        InconsistencyProof(targetAxis: axis(), targetIndex: index(n), symbols: symbols))
    case 10: return .blobStatus(blob())
    case 11: return .health(detailed: bool())
    case 12: return .storeBatch(list(4) { $0.storeEntry(parameters) })
    default: return .readBatch(list(8) { $0.readItem(n) }, for: bool() ? .read : .repair)
    }
  }

  /// An answer that fits the request; now and then a refusal.
  mutating func response(to request: NodeRequest, _ parameters: EncodingParameters) -> NodeResponse
  {
    let n = parameters.shardCount
    if below(6) == 0 { return .failure(failure()) }
    switch request {
    case .metadata(let blob): return .metadata(blob, metadata(parameters))
    case .metadataStatus, .sliverStatus:
      return .storedStatus([.nonexistent, .buffered, .stored][below(3)])
    case .storeMetadata, .storeSliver: return .stored(isNew: bool())
    case .sliver(_, let pair, let axis):
      return .sliver(sliver(n, axis: axis, index: pair.sliver(axis, shardCount: n)))
    case .confirmation: return .confirmation(signedMessage())
    case .recoverySymbols(_, let filter, _):
      let countMax =
        switch filter {
        case .symbols(let symbols): symbols.count
        case .target: n
        }
      return .recoverySymbols(
        list(countMax) {
          GeneralRecoverySymbol(
            targetAxis: $0.axis(), symbol: $0.decodingSymbol(n), targetIndex: $0.index(n),
            proof: $0.proof())
        })
    case .decodingSymbols(_, let targets, let axis):
      var symbols: [SliverIndex: [DecodingSymbol]] = [:]
      for target in targets where bool() { symbols[target] = list(4) { $0.decodingSymbol(n) } }
      return .decodingSymbols(symbols, targetAxis: axis)
    case .inconsistencyProof: return .inconsistencyAttested(signedMessage())
    case .blobStatus: return .blobStatus(blobStatus())
    case .health(let detailed): return .health(health(detailed: detailed, n))
    case .storeBatch(let entries):
      return .storeBatch(
        entries.map { entry in
          switch below(3) {
          case 0: .stored
          case 1: .confirmed(confirmation(blob: entry.blob, object: entry.object))
          default: .refused(failure())
          }
        })
    case .readBatch(let items, _):
      return .readBatch(
        items.map { item in
          switch below(4) {
          case 0: .missing
          case 1: .refused(failure())
          default:
            outcome(to: item)
          }
        }, load: UInt16(below(1 << 16)))
    }
  }

  private mutating func outcome(to item: ReadItem) -> ReadOutcome {
    let bytes = bytes(item.symbols.count * 2 * (1 + below(10)))
    let paths = item.wantsPaths ? item.symbols.map { _ in proof() } : []
    return item.wantsSignature
      ? .signedSymbols(bytes: bytes, paths: paths, signature: self.bytes(64))
      : .symbols(bytes: bytes, paths: paths)
  }

  private mutating func blobStatus() -> BlobStatus {
    switch below(4) {
    case 0: .nonexistent
    case 1: .invalid
    case 2:
      .permanent(
        endEpoch: number(), isCertified: bool(), initialCertifiedEpoch: optional { $0.number() },
        deletable: counts())
    default: .deletable(initialCertifiedEpoch: optional { $0.number() }, counts())
    }
  }

  private mutating func health(detailed: Bool, _ n: Int) -> NodeHealth {
    let states: [NodeHealth.ShardState] = [.unknown, .ready, .inTransfer, .inRecovery, .readOnly]
    let detail =
      detailed
      ? NodeHealthDetail(
        sliverCount: below(1000), storedByteCount: Int.max, freeByteCount: below(1 << 40),
        totalByteCount: below(1 << 50), rottenCount: below(9), driveProblems: list(3) { $0.text() },
        liars: list(3) { dice in
          let item = dice.readItem(n)
          return LiarReport(
            node: NodeID(dice.number()), count: dice.below(9),
            evidence: dice.optional { dice in
              SymbolStatement(
                node: NodeID(dice.number()), item: item, bytes: dice.bytes(dice.below(99)),
                paths: (0..<dice.below(item.symbols.count + 1)).map { _ in dice.proof() },
                signature: dice.bytes(64))
            })
        })
      : nil
    return NodeHealth(
      uptimeMilliseconds: number(), epoch: number(), publicKey: bytes(32), nodeStatus: text(),
      cursor: Revision(number()),
      shards: (0..<n).filter { _ in bool() }.map {
        (ShardIndex(UInt16($0)), states[below(states.count)])
      }, detail: detail)
  }
}

extension ObjectID {
  /// For tests, whose arrays have the right length.
  static func bytes(_ bytes: [UInt8]) -> ObjectID {
    guard let object = ObjectID(bytes) else { preconditionFailure("\(bytes.count) bytes") }
    return object
  }
}

extension ClusterID {
  static func bytes(_ bytes: [UInt8]) -> ClusterID {
    guard let cluster = ClusterID(bytes) else { preconditionFailure("\(bytes.count) bytes") }
    return cluster
  }
}

extension BlobID {
  /// 32 times the same byte.
  static func repeating(_ byte: UInt8) -> BlobID {
    guard let blob = BlobID(bytes: [UInt8](repeating: byte, count: 32)) else {
      preconditionFailure("a blob ID has 32 bytes")
    }
    return blob
  }
}

func joined(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }
