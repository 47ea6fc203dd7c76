// BlobClient+Store.swift
//
// Storing: encode, register, send, collect confirmations, certify. The call returns when the blob
// is certified; what slow nodes still lack follows in a tail (UploadTasks).

package import Cluster
import ControlPlane
import Logging
package import RedStuff
import World

package struct StoreReport: Sendable, Equatable {
  /// Bytes of slivers sent up to the certificate, repeats included.
  package var byteCount = 0
  /// Shards of the nodes that had confirmed by then.
  package var confirmedShardCount = 0

  package init() {}
}

package struct StoreReceipt: Sendable, Equatable {
  /// Certified.
  package let registration: Registration
  /// Whether the content was certified before, under another registration.
  package let wasCertified: Bool
  package let report: StoreReport

  package var blob: BlobID { registration.blob }
}

extension BlobClient {
  /// Memory that storing such a blob takes at most, the blob itself included: the encoder with its
  /// slivers, and two copies of what is being sent (as slivers and as request bodies).
  package static func storeByteCount(
    forBlobOf byteCount: UInt64, parameters: EncodingParameters,
    configuration: BlobClientConfiguration = BlobClientConfiguration()
  ) throws(BlobClientError) -> UInt64 {
    do {
      let encoder = try BlobEncoder.memoryByteCount(forBlobOf: byteCount, parameters: parameters)
      let inFlight = UInt64(
        configuration.uploadsInFlightMax * configuration.batchByteCountTarget)
      return byteCount + encoder + 2 * min(encoder, inFlight)
    } catch {
      throw .tooLarge(limit: parameters.blobByteCountMax)
    }
  }

  /// Stores a blob under a registration of its own, and returns once that is certified.
  ///
  /// - Parameters:
  ///   - epochs: from the current one on; nil for no end.
  ///   - onFinished: called exactly once, when the memory of the upload is free again: at the end
  ///     of the tail, or when this throws.
  /// - Throws: `tooLarge`, `insufficientConfirmations`, `forbidden`, `registry`, `cancelled`,
  ///   `shuttingDown`. Nothing is certified then; what nodes have got goes when the registration is
  ///   abandoned.
  package func store(
    _ blob: [UInt8], persistence: Persistence, epochs: UInt32?,
    onFinished: (@Sendable () -> Void)? = nil
  ) async throws(BlobClientError) -> StoreReceipt {
    // Unbounded in name only: it carries a quorum or a failure.
    let (news, continuation) = AsyncStream.makeStream(of: Upload.News.self)
    let prepared: (upload: Upload, wasCertified: Bool)
    do {
      prepared = try await prepare(
        blob, persistence: persistence, epochs: epochs, news: continuation)
    } catch {
      onFinished?()
      throw error
    }
    let upload = prepared.upload
    let started = uploads.start {
      await upload.run()
      onFinished?()
    }
    guard let started else {
      onFinished?()
      throw .shuttingDown
    }
    let result = await withTaskCancellationHandler {
      await certified(news, upload.initialState.registration)
    } onCancel: {
      started.task.cancel()
    }
    switch result {
    case .success(let (registration, report)):
      if !uploads.becomeTail(started.id) { await started.task.value }
      return StoreReceipt(
        registration: registration, wasCertified: prepared.wasCertified, report: report)
    case .failure(let error):
      started.task.cancel()
      await started.task.value
      await giveUp(upload.initialState.registration)
      throw error
    }
  }

  /// Ends the registration of a store that failed; its deadline would, but an hour later. In a task of
  /// its own, since the caller may have been cancelled.
  private func giveUp(_ registration: Registration) async {
    let services = services
    await Task {
      do {
        try await services.registry.giveUp(registration.object, of: registration.blob)
      } catch {
        services.logger.notice("a failed registration stays until its deadline: \(error)")
      }
    }.value
  }

  private func prepare(
    _ blob: [UInt8], persistence: Persistence, epochs: UInt32?,
    news: AsyncStream<Upload.News>.Continuation
  ) async throws(BlobClientError) -> (upload: Upload, wasCertified: Bool) {
    try checkOpen()
    let encoded = try await encode(blob)
    if Task.isCancelled { throw .cancelled }
    let wasCertified: Bool
    let registration: Registration
    do {
      if case .certified = try await services.registry.status(of: encoded.blobID) {
        wasCertified = true
      } else {
        wasCertified = false
      }
      (registration, _) = try await services.registry.register(
        blob: encoded.blobID, byteCount: UInt64(blob.count), persistence: persistence,
        epochs: epochs)
    } catch {
      throw .registry(error)
    }
    let state = UploadState(
      registration: registration, metadata: encoded.metadata, committee: services.committee,
      cluster: services.cluster, isCertified: wasCertified, configuration: configuration)
    let upload = Upload(
      services: services, encoded: encoded, initialState: state, news: news)
    return (upload, wasCertified)
  }

  private func encode(_ blob: [UInt8]) async throws(BlobClientError) -> EncodedBlob {
    let parameters = parameters
    let encoder: BlobEncoder
    do {
      encoder = try await services.compute.run {
        () throws(EncodingParametersError) -> BlobEncoder in
        try BlobEncoder(blob, parameters: parameters)
      }
    } catch {
      throw .tooLarge(limit: parameters.blobByteCountMax)
    }
    await services.run(encoder.phases)
    return encoder.finish()
  }

  /// Waits for enough confirmations and certifies.
  private func certified(
    _ news: AsyncStream<Upload.News>, _ registration: Registration
  ) async -> Result<(Registration, StoreReport), BlobClientError> {
    for await item in news {
      switch item {
      case .failed(let error): return .failure(error)
      case .quorum(let confirmations, let byteCount):
        var report = StoreReport()
        report.byteCount = byteCount
        report.confirmedShardCount = confirmations.reduce(0) {
          $0 + (services.committee.member($1.node)?.shards.count ?? 0)
        }
        return await certify(registration, confirmations).map { ($0, report) }
      }
    }
    return .failure(.cancelled)
  }

  private func certify(_ registration: Registration, _ confirmations: [StorageConfirmation])
    async -> Result<Registration, BlobClientError>
  {
    do {
      let certificate = try Certificate(confirmations: confirmations)
      return .success(
        try await services.registry.certify(
          registration.object, of: registration.blob, certificate: certificate))
    } catch let error as RegistryError {
      if PlantedBug.failedCertifyReported.isPlanted { return .success(registration) }
      return .failure(.registry(error))
    } catch {
      // Each confirmation was checked on arrival, so they fit together.
      return .failure(.unavailable(reason: "the confirmations do not fit together: \(error)"))
    }
  }
}
