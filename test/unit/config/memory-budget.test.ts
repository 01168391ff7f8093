import t from 'tap'
import { ConfigReload } from '../../../src/config/config-reload.js'
import { loadConfig } from '../../../src/config/load.js'
import { defaultMemoryBytes, memoryBudget } from '../../../src/config/memory-budget.js'
import type { CacheStatus } from '../../../src/core/status.js'
import { RequestBodies } from '../../../src/http/server/request-bodies.js'
import { UnreadResponses } from '../../../src/http/server/unread-responses.js'
import { cacheOptions } from '../../../src/sidecar/cache-options.js'
import { memoryUse } from '../../../src/sidecar/memory-use.js'

const mebibyte = 1024 * 1024
const memory = { CACHE_MEMORY_BYTES: String(100 * mebibyte) }

t.test('the smaller of the two limits is the available memory', async (t) => {
  t.equal(defaultMemoryBytes(200 * mebibyte, 0), 140 * mebibyte, 'no container')
  t.equal(defaultMemoryBytes(200 * mebibyte, 2 ** 64), 140 * mebibyte, 'a container without a limit')
  t.equal(defaultMemoryBytes(4_000 * mebibyte, 256 * mebibyte), 80 * mebibyte)
  t.equal(defaultMemoryBytes(240 * mebibyte, 320 * mebibyte), 144 * mebibyte)
  t.equal(defaultMemoryBytes(4_000 * mebibyte, 64 * mebibyte), 16 * mebibyte, 'hardly any')
  t.ok(defaultMemoryBytes() > 0)
  t.equal(loadConfig({}).config.memoryBytes, defaultMemoryBytes())
})

t.test('the parts of the budget do not exceed the whole', async (t) => {
  const parts = Object.values(memoryBudget(1_000_000)).reduce((sum, part) => sum + part, 0)
  t.ok(parts <= 1_000_000)
})

t.test('a capacity that does not fit is refused with the number of entries that fit', async (t) => {
  t.throws(() => loadConfig({ ...memory, CACHE_CAPACITY: '10000000' }), {
    message:
      'CACHE_CAPACITY: 10000000 entries do not fit into memory, at most 102400 do: CACHE_MEMORY_BYTES is 104857600',
  })
  t.equal(loadConfig({ ...memory, CACHE_CAPACITY: '102400' }).config.capacity, 102_400)
  t.throws(() => loadConfig({ ...memory, CACHE_MAX_VALUE_BYTES: String(30 * mebibyte) }), {
    message: /^CACHE_MAX_VALUE_BYTES: 31457280 do not fit into memory, at most 26214400 do/,
  })
})

t.test('a reload with a capacity that does not fit keeps the current one', async (t) => {
  const { config, warnings } = loadConfig({ ...memory, CACHE_CAPACITY: '10' })
  let inForce = config
  let capacity = '10'
  const faults: unknown[] = []
  const reload = new ConfigReload(config, {
    load: () => loadConfig({ ...memory, CACHE_CAPACITY: capacity }),
    apply: (next) => {
      inForce = next
    },
    warned: warnings,
    log: { info: () => undefined, warn: () => undefined, error: (fields) => faults.push(fields) },
  })
  capacity = '100000000'
  reload.asked()
  t.equal(inForce.capacity, 10)
  t.match(faults, [{ faults: [/^CACHE_CAPACITY: 100000000 entries do not fit/] }])
  capacity = '20'
  reload.asked()
  t.equal(inForce.capacity, 20)
})

t.test(
  'the entries have a limit in bytes without CACHE_MAX_BYTES, and never a larger one with it',
  async (t) => {
    const bytes = (more: Record<string, string>) =>
      cacheOptions(loadConfig({ ...memory, ...more }).config).maxBytes
    t.equal(bytes({ CACHE_CAPACITY: '1000' }), 50 * mebibyte - 512_000)
    t.equal(bytes({ CACHE_MAX_BYTES: '1000000' }), 1_000_000)
    t.equal(bytes({ CACHE_MAX_BYTES: '1000000000' }), 50 * mebibyte - 512_000)
    t.equal(bytes({ CACHE_CAPACITY: '102400' }), 1)
  },
)

t.test('negative entries have a share of their own', async (t) => {
  const optionsOf = (more: Record<string, string>) => cacheOptions(loadConfig({ ...memory, ...more }).config)
  const shareBytes = 5 * mebibyte
  t.match(optionsOf({}), { negativeCapacity: 1_000, maxNegativeBytes: shareBytes - 1_000 * 384 })
  t.equal(optionsOf({ CACHE_CAPACITY: '20' }).negativeCapacity, 20, 'as many as entries')
  const { negativeCapacity, maxNegativeBytes = 0 } = optionsOf({ CACHE_CAPACITY: '102400' })
  t.equal(negativeCapacity, shareBytes / 512, 'or as many as fit, with keys of 128 bytes')
  t.equal(maxNegativeBytes, negativeCapacity * 128)
  t.equal(optionsOf({ CACHE_NEGATIVE_CAPACITY: '0' }).negativeCapacity, 0)
  t.match(optionsOf({ CACHE_NEGATIVE_CAPACITY: '13653' }), { negativeCapacity: 13_653, capacity: 1_000 })
  t.throws(() => loadConfig({ ...memory, CACHE_NEGATIVE_CAPACITY: '13654' }), {
    message:
      'CACHE_NEGATIVE_CAPACITY: 13654 entries do not fit into memory, at most 13653 do: CACHE_MEMORY_BYTES is 104857600',
  })
})

t.test('what negative entries take is a part of the memory in use', async (t) => {
  const partOf = (negativeSize: number, more: Record<string, string> = {}) =>
    memoryUse({
      config: loadConfig({ ...memory, ...more }).config,
      status: { negativeSize, negativeBytes: negativeSize * 10 } as CacheStatus,
      responses: new UnreadResponses(1),
      bodies: new RequestBodies(1),
    }).negative_entries
  t.same(partOf(0), { bytes: 0, limitBytes: 5 * mebibyte })
  t.same(partOf(3), { bytes: 3 * (384 + 10), limitBytes: 5 * mebibyte })
  t.same(partOf(0, { CACHE_NEGATIVE_CAPACITY: '0' }), { bytes: 0, limitBytes: 0 })
})

t.test('connections that do not fit into memory are refused; the default is what fits', async (t) => {
  const load = (environment: Record<string, string>) =>
    loadConfig({ CACHE_CAPACITY: '10', ...environment }).config
  t.equal(load({ CACHE_MEMORY_BYTES: String(64 * 1024 * 2_000) }).maxConnections, 2_000)
  t.equal(load({ CACHE_MEMORY_BYTES: String(64 * 1024 * 50_000) }).maxConnections, 10_000)
  t.equal(
    load({ CACHE_MEMORY_BYTES: String(64 * 1024 * 2_000), CACHE_MAX_CONNECTIONS: '5' }).maxConnections,
    5,
  )
  t.throws(
    () => load({ CACHE_MEMORY_BYTES: String(64 * 1024 * 2_000), CACHE_MAX_CONNECTIONS: '2001' }),
    /CACHE_MAX_CONNECTIONS: 2001 connections do not fit into memory, at most 2000 do/,
  )
})
