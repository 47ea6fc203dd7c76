// Walrus.swift
//
// The command: one binary that is the cluster, its client and its tools. Each subcommand sits in the
// file of its group; this one lists them.

import ArgumentParser
import Foundation
import RedStuff

@main
struct Walrus: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "walrus",
    abstract: "A self-healing blob store: erasure-coded in two dimensions, on your own disks.",
    discussion: """
      Start a cluster on this machine with `walrus up`, then use `walrus store FILE` and
      `walrus read ID` from another terminal, or PUT and GET http://127.0.0.1:31415/v1/blobs.
      """,
    version: "0.1.0",
    subcommands: [],
    groupedSubcommands: [
      CommandGroup(
        name: "Cluster:",
        subcommands: [
          Up.self, Health.self, Info.self, ClusterCommand.self, RepairCommand.self,
          ScrubCommand.self, TrafficCommand.self,
        ]),
      CommandGroup(
        name: "Blobs:",
        subcommands: [Store.self, Read.self, List.self, Status.self, Extend.self, Delete.self]),
      CommandGroup(
        name: "Quilts:",
        subcommands: [StoreQuilt.self, ReadQuilt.self, ListPatchesInQuilt.self]),
      CommandGroup(
        name: "Offline tools:",
        subcommands: [BlobIDCommand.self, Encode.self, Decode.self, Bench.self]),
    ])

  static func main() async {
    if let refusal = CPULevel.refusal {
      let wish = ProcessInfo.processInfo.environment[CPULevel.variable] ?? ""
      Output.note(
        "warning: \(CPULevel.variable)=\(wish) \(refusal); using \(CPULevel.nameInUse)")
    }
    await main(DashedIDs.protected(Array(CommandLine.arguments.dropFirst())))
  }
}

/// Something the user can mend; printed as it stands.
struct CommandFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
