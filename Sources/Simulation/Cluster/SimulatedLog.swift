// SimulatedLog.swift
//
// The log of a simulated process: every line becomes an event of the trace.

package import Logging
package import Simulator

package struct SimulatedLog: LogHandler {
  package var metadata: Logger.Metadata = [:]
  package var logLevel: Logger.Level = .info

  private let process: String
  private let trace: Trace
  private let watch: @Sendable (Logger.Metadata) -> Void

  /// - Parameter watch: sees the fields of every line.
  package init(
    process: String, trace: Trace, watch: @escaping @Sendable (Logger.Metadata) -> Void = { _ in }
  ) {
    self.process = process
    self.trace = trace
    self.watch = watch
  }

  package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  package func log(event: LogEvent) {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in event.message.description.utf8 {
      hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
    }
    let fields = metadata.merging(event.metadata ?? [:]) { $1 }
      .sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    watch(event.metadata ?? [:])
    trace.record(.process, hash, "\(process) \(event.level): \(event.message)\(fields)")
  }
}
