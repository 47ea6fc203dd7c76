// ProcessLife.swift
//
// The life of one simulated process. A crash ends it, and from then on nothing that the process
// still does may have an effect: each of its seams asks here first. So a crash needs no help from
// the code that crashes, and what is left of its tasks unwinds without being noticed.

internal import Synchronization

package final class ProcessLife: Sendable {
  package let name: String
  private let ended = Atomic(false)

  package init(name: String) { self.name = name }

  package var isAlive: Bool { !ended.load(ordering: .relaxed) }

  package func end() { ended.store(true, ordering: .relaxed) }
}
