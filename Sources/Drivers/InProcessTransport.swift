// InProcessTransport.swift
//
// Messages to nodes of the same process: a direct call, no bytes made. The same deadlines and the
// same answers as over HTTP.

package import Cluster
import Synchronization
package import World

package final class InProcessTransport: Transport {
  private let services = Mutex<[NodeID: any NodeService]>([:])
  private let clock: any Clock

  package init(clock: any Clock) { self.clock = clock }

  /// From now on messages to `node` reach `service`.
  package func connect(_ node: NodeID, to service: any NodeService) {
    services.withLock { $0[node] = service }
  }

  /// From now on `node` is unreachable; answers under way are still delivered.
  package func disconnect(_ node: NodeID) {
    services.withLock { $0[node] = nil }
  }

  package func send(_ request: NodeRequest, to node: NodeID, deadline: Instant)
    async throws(TransportError) -> NodeResponse
  {
    guard let service = services.withLock({ $0[node] }) else {
      throw .unreachable(node, "it does not run")
    }
    do {
      return try await withDeadline(deadline, clock: clock) {
        await service.answer(request, deadline: deadline)
      }
    } catch is DeadlineExceeded {
      throw .deadlineExceeded(node)
    } catch {
      throw .cancelled
    }
  }
}
