// RepairBatch+Findings.swift
//
// What repair finds out about others and about its own node: helpers that lie, and slivers here that
// are not what the metadata says.

import Cluster
import Logging
import RedStuff
import Repair
import Routing
import Synchronization

extension RepairBatch {
  mutating func noteLiars(job index: Int) {
    let blob = jobs[index].blob
    let recovery = jobs[index].recovery
    for line in recovery.suspects.dropFirst(jobs[index].suspectCount) {
      node.peers.distrust(keeper(of: line, blob))
    }
    jobs[index].suspectCount = recovery.suspects.count
    let liars = recovery.liars.dropFirst(jobs[index].liarCount)
    jobs[index].liarCount = recovery.liars.count
    for line in liars {
      sawLiar = true
      let liar = keeper(of: line, blob)
      node.peers.distrust(liar)
      let evidence = evidence(of: line, job: index, against: liar)
      node.healing.withLock { $0.sawLie(of: liar, evidence: evidence) }
      node.logger.error(
        "a node gave wrong symbols for repair",
        metadata: [
          "node": "\(node.id)", "liar": "\(liar)", "blob": "\(blob)", "sliver": "\(line)",
          "isSigned": "\(evidence != nil)",
        ])
    }
  }

  mutating func noteRotten(job index: Int) async {
    let rotten = jobs[index].recovery.rotten
    let new = rotten.dropFirst(jobs[index].rottenCount)
    jobs[index].rottenCount = rotten.count
    let n = node.parameters.shardCount
    let places = node.places(of: jobs[index].blob).filter { new.contains($0.line(shardCount: n)) }
    await node.recheck(places, against: jobs[index].metadata)
  }

  /// The false answer, if the liar signed it.
  private func evidence(
    of line: MatrixLine, job: Int, against liar: NodeID
  ) -> SymbolStatement? {
    let job = jobs[job]
    guard let answer = job.recovery.falseAnswers[line],
      let key = node.committee.member(liar)?.publicKey
    else { return nil }
    let statement = SymbolStatement(
      node: liar, item: item(answer.run, job.metadata), bytes: answer.bytes, paths: answer.paths,
      signature: answer.signature)
    return statement.verify(cluster: node.cluster, publicKey: key) ? statement : nil
  }
}
