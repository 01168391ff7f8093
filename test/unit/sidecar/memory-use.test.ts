import t from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import type { CacheStatus } from '../../../src/core/status.js'
import { RequestBodies } from '../../../src/http/server/request-bodies.js'
import { UnreadResponses } from '../../../src/http/server/unread-responses.js'
import { cacheOptions, readBytesInMemory } from '../../../src/sidecar/cache-options.js'
import { memoryUse } from '../../../src/sidecar/memory-use.js'

const mebibyte = 1024 * 1024

t.test('each part of the memory has what is in use and its limit', async (t) => {
  const { config } = loadConfig({ CACHE_MEMORY_BYTES: String(100 * mebibyte), CACHE_CAPACITY: '1000' })
  const responses = new UnreadResponses(1_000)
  responses.acquire(10)
  const status = {
    ...{
      size: 3,
      bytes: 100,
      negativeSize: 2,
      negativeBytes: 30,
      valueReads: 4,
      pendingBytes: 50,
      unknownBytes: 6,
    },
  } as CacheStatus
  const eachRead = readBytesInMemory(config)
  t.strictSame(memoryUse({ config, status, responses, bodies: new RequestBodies(2_000) }), {
    entries: { bytes: 100 + 3 * 512, limitBytes: 50 * mebibyte },
    negative_entries: { bytes: 30 + 2 * 384, limitBytes: 5 * mebibyte },
    values_in_flight: {
      bytes: 4 * eachRead,
      limitBytes: (cacheOptions(config).maxReads as number) * eachRead,
    },
    responses: { bytes: 10, limitBytes: 1_000 },
    request_bodies: { bytes: 0, limitBytes: 2_000 },
    pending_writes: { bytes: 56, limitBytes: 10 * mebibyte },
  })
})

t.test('without room for negative entries, their limit is 0', async (t) => {
  const { config } = loadConfig({ CACHE_MEMORY_BYTES: String(100 * mebibyte), CACHE_NEGATIVE_CAPACITY: '0' })
  const status = { size: 0, bytes: 0, negativeSize: 0, negativeBytes: 0 } as CacheStatus
  const sources = { config, status, responses: new UnreadResponses(1), bodies: new RequestBodies(1) }
  t.strictSame(memoryUse(sources).negative_entries, { bytes: 0, limitBytes: 0 })
})
