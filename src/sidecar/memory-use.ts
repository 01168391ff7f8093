import type { Config } from '../config/config.js'
import { entryBookkeepingBytes, negativeBookkeepingBytes } from '../config/memory-budget.js'
import type { MemoryUse } from '../core/state/memory-use.js'
import type { CacheStatus } from '../core/status.js'
import type { RequestBodies } from '../http/server/request-bodies.js'
import type { UnreadResponses } from '../http/server/unread-responses.js'
import { cacheOptions, readBytesInMemory } from './cache-options.js'

export interface MemorySources {
  /** Settings in force. */
  readonly config: Config
  readonly status: CacheStatus
  readonly responses: UnreadResponses
  readonly bodies: RequestBodies
}

/** Returns how much of each part of the memory is in use. */
export function memoryUse({ config, status, responses, bodies }: MemorySources): MemoryUse {
  const { capacity, maxBytes = 0, negativeCapacity, maxNegativeBytes = 0 } = cacheOptions(config)
  const { maxReads, maxPendingBytes } = cacheOptions(config)
  const bytesPerRead = readBytesInMemory(config)
  return {
    entries: {
      bytes: status.bytes + status.size * entryBookkeepingBytes,
      limitBytes: maxBytes + capacity * entryBookkeepingBytes,
    },
    negative_entries: {
      bytes: status.negativeBytes + status.negativeSize * negativeBookkeepingBytes,
      limitBytes: negativeCapacity === 0 ? 0 : maxNegativeBytes + negativeCapacity * negativeBookkeepingBytes,
    },
    values_in_flight: { bytes: status.valueReads * bytesPerRead, limitBytes: maxReads * bytesPerRead },
    responses: { bytes: responses.bytes, limitBytes: responses.maxBytes },
    request_bodies: { bytes: bodies.bytes, limitBytes: bodies.maxBytes },
    pending_writes: { bytes: status.pendingBytes + status.unknownBytes, limitBytes: 2 * maxPendingBytes },
  }
}
