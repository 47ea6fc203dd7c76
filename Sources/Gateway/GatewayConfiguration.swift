// GatewayConfiguration.swift
//
// What an operator may set, and the limits of the gateway with the reason for each number.

package struct GatewayConfiguration: Sendable {
  /// For people, in `/status`.
  package var clusterName: String
  package var hosts = HostRules()
  package var crossOrigin = CrossOriginAccess.reads
  package var limits = GatewayLimits()
  /// Whether every tag of a patch becomes a header of the answer, not only those that say how to
  /// show it. Tags are the words of whoever stored the quilt.
  package var sendsAllPatchTags = false

  package init(clusterName: String) { self.clusterName = clusterName }
}

package struct GatewayLimits: Sendable {
  /// Memory of all uploads together, blob and encoding. The largest blob of a cluster of 100 shards
  /// takes about 1.3 GB, so one of these fits with small ones beside it.
  package var uploadByteCountMax = 2 << 30
  /// Uploads waiting for memory. Each costs a connection and a few kilobytes.
  package var waitingUploadCountMax = 64
  /// Reads that run at once; the reference's number.
  package var readCountMax = 256
  /// Reads waiting for their turn; the reference's number.
  package var waitingReadCountMax = 320
  /// Nobody waits for admission longer; clients retry well by themselves.
  package var admissionWaitMax = Duration.seconds(10)
  /// A client that sends nothing for so long while its upload is expected has gone.
  package var bodyIdleMax = Duration.seconds(30)
  /// A whole upload: 14 GB at 8 MB/s.
  package var uploadDurationMax = Duration.seconds(1800)
  /// A client that takes no part of an answer for so long has gone.
  package var writeIdleMax = Duration.seconds(60)
  /// After a refusal the client may go on sending for so long before the connection is cut, so that
  /// it can read the refusal.
  package var lingerDuration = Duration.seconds(2)

  package init() {}
}
