// ReferenceModelTests.swift
//
// What the model allows: it is the judge, so it is judged here.

import Cluster
import RedStuff
import Testing
import World

@testable import Simulation

@Suite struct ReferenceModelTests {
  private let model = ReferenceModel()
  private let content = Content(seed: 1, byteCount: 3)

  private func blob() throws -> BlobID {
    try #require(BlobID(bytes: [UInt8](repeating: 7, count: 32)))
  }

  private func registration(
    _ number: UInt8, _ persistence: Persistence = .deletable, endEpoch: Epoch = epochWithoutEnd
  ) throws -> Registration {
    Registration(
      blob: try blob(), object: try #require(ObjectID([UInt8](repeating: number, count: 32))),
      byteCount: 3, persistence: persistence, registeredEpoch: 1, endEpoch: endEpoch,
      registeredAtMilliseconds: 0, certifyByMilliseconds: 1, state: .registered)
  }

  private func store(_ registration: Registration) {
    let sweeps = model.storeBegins(registration.blob, content)
    model.storeEnded(registration.blob, with: registration, sweepCountAtStart: sweeps)
  }

  private func view(epoch: Epoch = 1) throws -> ReferenceModel.View {
    model.view(of: try blob(), epoch: epoch)
  }

  @Test func `a blob nobody stored is gone`() throws {
    #expect(try view() == ReferenceModel.View(isGone: true))
  }

  @Test func `a store under way may be there or not, a finished one is`() throws {
    let sweeps = model.storeBegins(try blob(), content)
    #expect(try view() == ReferenceModel.View(isGone: false))
    model.storeEnded(try blob(), with: try registration(1), sweepCountAtStart: sweeps)
    #expect(
      try view()
        == ReferenceModel.View(living: [try registration(1).object], isGone: false))
  }

  @Test func `a store that failed may have left something`() throws {
    let sweeps = model.storeBegins(try blob(), content)
    let wasSwept = model.storeFailed(try blob(), sweepCountAtStart: sweeps)
    #expect(!wasSwept)
    #expect(try view() == ReferenceModel.View(isGone: false))
  }

  @Test func `a delete under way leaves both possible, a finished one ends`() throws {
    store(try registration(1))
    let affected = model.deleteBegins(try blob(), object: nil)
    #expect(try view() == ReferenceModel.View(isGone: false))
    model.deleteEnded(try blob(), affected)
    #expect(try view() == ReferenceModel.View(isGone: true))
  }

  @Test func `deleting one registration leaves the others`() throws {
    store(try registration(1))
    store(try registration(2))
    model.deleteEnded(
      try blob(), model.deleteBegins(try blob(), object: try registration(1).object))
    #expect(try view().isLiving)
  }

  @Test func `a delete of everything leaves what is permanent`() throws {
    store(try registration(1, .permanent, endEpoch: 5))
    model.deleteEnded(try blob(), model.deleteBegins(try blob(), object: nil))
    #expect(try view().isLiving)
  }

  @Test func `a delete that overlaps a store may have ended it`() throws {
    let sweeps = model.storeBegins(try blob(), content)
    let affected = model.deleteBegins(try blob(), object: nil)
    model.deleteEnded(try blob(), affected)
    model.storeEnded(try blob(), with: try registration(1), sweepCountAtStart: sweeps)
    #expect(try view() == ReferenceModel.View(isGone: false))
  }

  @Test func `a registration ends with its epoch`() throws {
    store(try registration(1, endEpoch: 3))
    #expect(try view(epoch: 2).isLiving)
    #expect(try view(epoch: 3) == ReferenceModel.View(isGone: true))
  }

  @Test func `an extension moves the end, also of a registration whose store has not returned`()
    throws
  {
    let sweeps = model.storeBegins(try blob(), content)
    model.extensionBegins(try blob())
    model.extensionEnded(try blob(), try registration(1, endEpoch: 6))
    model.storeEnded(try blob(), with: try registration(1, endEpoch: 3), sweepCountAtStart: sweeps)
    #expect(try view(epoch: 5).isLiving)
    #expect(try view(epoch: 6).isGone)
  }

  @Test func `an extension that failed leaves the end open`() throws {
    store(try registration(1, endEpoch: 3))
    model.extensionBegins(try blob())
    #expect(try view(epoch: 3) == ReferenceModel.View(isGone: false))
    model.extensionRefused(try blob())
    #expect(try view(epoch: 3).isGone)
  }

  @Test func `a blob that ended and was stored anew did not live in between`() throws {
    store(try registration(1))
    let before = try view()
    model.deleteEnded(try blob(), model.deleteBegins(try blob(), object: nil))
    store(try registration(2))
    let after = try view()
    #expect(before.isLiving && after.isLiving && !before.lives(until: after))
    store(try registration(3))
    #expect(after.lives(until: try view()))
  }
}
