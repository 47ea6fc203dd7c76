// Shared.swift
//
// A value that several tasks fill.

import Synchronization

final class Shared<Value: Sendable>: Sendable {
  private let state: Mutex<Value>

  init(_ value: Value) { state = Mutex(value) }

  var value: Value { state.withLock { $0 } }
  func update(_ body: (inout Value) -> Void) { state.withLock { body(&$0) } }
}
