// LyingNode.swift
//
// A storage node that answers for an honest one and lies: about bytes, indices, paths, what it has,
// what it has signed, and how long it takes. It holds the node's key, so its signatures are good.
//
// Its lies are the worst that pass the codec as often as ones that do not: what the codec refuses
// tests the codec, and only what it lets through tests the reader.

package import Cluster
package import RedStuff
package import Simulator
import Synchronization
package import World

package final class LyingNode: NodeService {
  package enum Lie: Int, Sendable, CaseIterable, Hashable {
    /// Right length, wrong bits.
    case wrongBytes
    /// What is right for another blob, another sliver, or an earlier question.
    case otherBlob
    case otherSliver
    case oldAnswer
    case wrongIndices
    case oversize
    case foreignPaths
    /// Answers just before the deadline, or after it.
    case slowness
    case signsWithoutStoring
    case refusals
    case wrongMetadata
    /// About what is stored, certified, or how it feels.
    case falseStatus
    case garbageTexts
    case wrongCount
    /// Wrong bits in symbols that come without paths; the truth as soon as paths are asked for.
    case bareSymbols
  }

  package enum Frequency: Sendable, Hashable {
    case always
    /// Of answers.
    case share(Double)
    /// Then it tells the truth about that blob.
    case oncePerBlob
  }

  package struct Habits: Sendable, Hashable {
    package var frequencies: [Lie: Frequency]
    /// Of an answer that is larger than it should be.
    package var oversizeByteCount = 1 << 20

    package init(_ frequencies: [Lie: Frequency]) { self.frequencies = frequencies }

    /// A few lies, each at a frequency of its own; never none.
    package static func random(_ dice: some Randomness) -> Habits {
      var frequencies: [Lie: Frequency] = [:]
      for _ in 0...dice.number(below: 4) {
        let lie = Lie.allCases[dice.number(below: Lie.allCases.count)]
        frequencies[lie] =
          switch dice.number(below: 4) {
          case 0: .always
          case 1: .oncePerBlob
          case 2: .share(0.5)
          default: .share(0.1)
          }
      }
      return Habits(frequencies)
    }

    /// These, and lies to whoever repairs itself.
    package func spoilingRepair(_ dice: some Randomness) -> Habits {
      var habits = self
      habits.frequencies[dice.number(below: 3) == 0 ? .wrongBytes : .bareSymbols] =
        dice.number(below: 4) == 0 ? .oncePerBlob : .always
      return habits
    }
  }

  /// Blobs and answers kept in mind; the oldest go first.
  private static let memoryCountMax = 256
  /// An answer given late comes at most this long after its deadline.
  private static let latenessMax = Duration.seconds(20)

  private struct State {
    var toldOnce: [Told] = []
    /// Of earlier answers, oldest first.
    var answers: [(request: NodeRequest, response: NodeResponse)] = []
    var lieCounts: [Lie: Int] = [:]
  }

  private struct Told: Hashable {
    var lie: Lie
    var blob: BlobID
  }

  private let base: any NodeService
  private let habits: Habits
  let signer: NodeSigner
  let cluster: ClusterID
  let parameters: EncodingParameters
  private let clock: any Clock
  let randomness: any Randomness
  private let trace: Trace
  private let state = Mutex(State())

  package init(
    _ base: any NodeService, habits: Habits, signer: NodeSigner, cluster: ClusterID,
    parameters: EncodingParameters, clock: any Clock, randomness: any Randomness, trace: Trace
  ) {
    self.base = base
    self.habits = habits
    self.signer = signer
    self.cluster = cluster
    self.parameters = parameters
    self.clock = clock
    self.randomness = randomness
    self.trace = trace
  }

  /// How often each lie was told.
  package var lieCounts: [Lie: Int] { state.withLock { $0.lieCounts } }

  package func answer(_ request: NodeRequest, deadline: Instant) async -> NodeResponse {
    if tells(.slowness, of: request) { await idle(until: deadline) }
    if tells(.refusals, of: request) { return .failure(refusal(isGarbage: false)) }
    if tells(.garbageTexts, of: request) { return .failure(refusal(isGarbage: true)) }
    if let forged = await forgedStore(request, deadline) { return forged }
    let truth = await base.answer(request, deadline: deadline)
    remember(request, truth)
    var response = truth
    for lie in Lie.allCases where !lie.replacesTheWork {
      guard habits.frequencies[lie] != nil,
        let changed = await told(lie, request, response, deadline)
      else { continue }
      // Drawn last, so that a lie which does not fit the question is not counted as told.
      if tells(lie, of: request) { response = changed }
    }
    return response
  }

  /// Signs for what it never stored, as often as it is asked to.
  private func forgedStore(_ request: NodeRequest, _ deadline: Instant) async -> NodeResponse? {
    switch request {
    case .storeMetadata, .storeSliver:
      return tells(.signsWithoutStoring, of: request) ? .stored(isNew: true) : nil
    case .storeBatch(let entries):
      guard tells(.signsWithoutStoring, of: request) else { return nil }
      let epoch = await epoch(deadline)
      return .storeBatch(
        entries.map { entry in
          guard entry.wantsConfirmation else { return .stored }
          return .confirmed(
            signer.confirm(
              cluster: cluster, epoch: epoch, blob: entry.blob, object: entry.object))
        })
    case .confirmation(let blob, let target, _):
      guard tells(.signsWithoutStoring, of: request) else { return nil }
      let persistence: BlobPersistence =
        switch target {
        case .permanent: .permanent
        case .deletable(let object):
          Digest(bytes: object.bytes).map { .deletable(objectID: $0) } ?? .permanent
        }
      let message = SignableMessage(
        epoch: await epoch(deadline),
        body: StorageConfirmationBody(blobID: blob, persistence: persistence)
      ).bcsBytes
      return .confirmation(
        SignedMessageAnswer(message: message, signature: signer.sign(message)))
    default: return nil
    }
  }

  /// As the honest node knows it.
  private func epoch(_ deadline: Instant) async -> Epoch {
    guard case .health(let health) = await base.answer(.health(detailed: false), deadline: deadline)
    else { return 0 }
    return health.epoch
  }

  /// The truth about something else.
  func truth(_ request: NodeRequest, _ deadline: Instant) async -> NodeResponse {
    await base.answer(request, deadline: deadline)
  }

  var oversizeByteCount: Int { habits.oversizeByteCount }

  // MARK: Whether to lie

  private func tells(_ lie: Lie, of request: NodeRequest) -> Bool {
    guard let frequency = habits.frequencies[lie] else { return false }
    let isTold =
      switch frequency {
      case .always: true
      case .share(let share): randomness.chance(share)
      case .oncePerBlob: isNews(lie, request.blob)
      }
    guard isTold else { return false }
    state.withLock { $0.lieCounts[lie, default: 0] += 1 }
    trace.record(
      .fault, traceValue(100, UInt64(lie.rawValue), UInt64(signer.node.value)),
      "\(signer.node) lies: \(lie)")
    return true
  }

  private func isNews(_ lie: Lie, _ blob: BlobID?) -> Bool {
    guard let blob else { return false }
    let told = Told(lie: lie, blob: blob)
    return state.withLock { state in
      guard !state.toldOnce.contains(told) else { return false }
      if state.toldOnce.count >= Self.memoryCountMax { state.toldOnce.removeFirst() }
      state.toldOnce.append(told)
      return true
    }
  }

  private func remember(_ request: NodeRequest, _ response: NodeResponse) {
    if case .failure = response { return }
    state.withLock { state in
      if state.answers.count >= Self.memoryCountMax { state.answers.removeFirst() }
      state.answers.append((request, response))
    }
  }

  /// An answer given before, if there is one that fits.
  func earlierAnswer(where fits: (NodeRequest, NodeResponse) -> Bool) -> NodeResponse? {
    let fitting = state.withLock { state in
      state.answers.filter { fits($0.request, $0.response) }.map(\.response)
    }
    return fitting.isEmpty ? nil : fitting[randomness.number(below: fitting.count)]
  }

  private func idle(until deadline: Instant) async {
    let lateness = randomness.duration(from: .seconds(-1), below: Self.latenessMax)
    // A node that is told to stop stops idling.
    try? await clock.sleep(until: deadline + lateness)
  }

  private func refusal(isGarbage: Bool) -> NodeFailure {
    let reasons = NodeFailure.Reason.allCases
    let reason = reasons[randomness.number(below: reasons.count)]
    guard isGarbage else { return NodeFailure(reason, "so it says") }
    let length = randomness.number(below: 100_000)
    return NodeFailure(
      reason, String(decoding: randomness.bytes(count: length), as: UTF8.self))
  }
}

extension LyingNode.Lie {
  /// Told instead of asking the honest node.
  var replacesTheWork: Bool {
    switch self {
    case .slowness, .refusals, .garbageTexts, .signsWithoutStoring: true
    default: false
    }
  }
}

extension NodeRequest {
  /// The blob that is asked about; of a batch the first.
  var blob: BlobID? {
    switch self {
    case .metadata(let blob), .metadataStatus(let blob), .storeMetadata(let blob, _),
      .sliver(let blob, _, _), .sliverStatus(let blob, _, _), .storeSliver(let blob, _, _),
      .confirmation(let blob, _, _), .recoverySymbols(let blob, _, _),
      .decodingSymbols(let blob, _, _), .inconsistencyProof(let blob, _), .blobStatus(let blob):
      blob
    case .storeBatch(let entries): entries.first?.blob
    case .readBatch(let items, _): items.first?.blob
    case .health: nil
    }
  }
}
