// CrashPoints+Check.swift
//
// One point: the script up to the strike and beyond, the power cut, and what must hold afterwards.

internal import RedStuff
internal import Simulator
internal import SliverStore

extension CrashPoints {
  static func check(_ point: Point, _ trouble: DiskTrouble) async throws {
    let machine = try await CrashMachine(seed: point.seed)
    machine.disk.setTrouble(trouble)
    var script = CrashScript(machine, point)
    try await script.run()
    let model = script.model

    var before: CrashAnswers?
    if !machine.disk.hasCrashed {
      // The process starts again, the machine does not: what it tells now it must hold to.
      before = try await answers(of: machine, model)
    }
    cutPower(machine, point, use: 1)
    if let again = point.again { await openBadly(machine, point, again) }

    let first = try await answers(of: machine, model)
    try compare(before, first)
    cutPower(machine, point, use: 3)
    let second = try await answers(of: machine, model)
    try compare(first, second)
    // The dearest check, and whether it holds depends least on the point.
    if point.dice(7) & 3 == 0 { try await useAgain(machine) }
  }

  private static func cutPower(_ machine: CrashMachine, _ point: Point, use: UInt64) {
    machine.disk.reseed(point.dice(use))
    machine.disk.restart(point.survival)
    point.indexLoss.strike(machine.index, seed: point.dice(use))
  }

  /// Opens while something goes wrong; whether that succeeds is of no importance.
  private static func openBadly(_ machine: CrashMachine, _ point: Point, _ again: Strike) async {
    let disk = machine.disk
    disk.schedule(
      again.fault, atOperation: disk.operationCount + again.operation, seed: point.dice(5))
    do throws(SliverStoreError) {
      _ = try await machine.open()
    } catch {
      // The next opening must work.
    }
    disk.clearSchedule()
    if again.fault == .crash { cutPower(machine, point, use: 2) }
  }

  private static func answers(of machine: CrashMachine, _ model: CrashModel)
    async throws -> CrashAnswers
  {
    let store: SliverStore
    do throws(SliverStoreError) {
      store = try await machine.open()
    } catch {
      throw CrashViolation("the store does not open: \(error)")
    }
    return try await model.check(store)
  }

  private static func compare(_ first: CrashAnswers?, _ second: CrashAnswers) throws {
    if let difference = first?.difference(to: second) { throw CrashViolation(difference) }
  }

  /// Everything can be stored, deleted and compacted, and survives the loss of the index.
  private static func useAgain(_ machine: CrashMachine) async throws {
    let store = try await machine.open()
    var model = CrashModel()
    model.values = [try await store.value(for: "cursor")]
    try await store.put(CrashModel.universe.map { CrashModel.record($0) })
    model.finish(CrashModel.universe, present: true)
    _ = try await model.check(store)
    try await store.delete(CrashModel.blob(1))
    model.finish(CrashModel.keys(1), present: false)
    _ = try await store.compact()
    let told = try await model.check(store)
    machine.disk.restart(.nothing)
    machine.index.wipe()
    try compare(told, try await answers(of: machine, model))
  }
}
