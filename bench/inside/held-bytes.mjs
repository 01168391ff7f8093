import { setImmediate as turn } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { Cache } from '../../dist/core/cache.js'

/**
 * Holds COUNT entries with values of 100 bytes, in what HOLDER names: `sidecar` (the whole core, filled by reads from
 * a store that makes them up), `negative` (the same with keys that do not exist) or `lru-cache`. Says how many bytes of heap each takes, keys and values included.
 */
const { HOLDER, COUNT } = process.env
const count = Number(COUNT)

/** Returns a flat string with its own memory, as from a socket. */
const flat = (text) => Buffer.from(text).toString()
const keyOf = (n) => flat(`key:${n}`)
const textOf = (n) => flat(`"${String(n).padEnd(98, 'x')}"`)

async function heapBytes() {
  await turn()
  global.gc()
  return process.memoryUsage().heapUsed
}

async function lru() {
  const entries = new LRUCache({ max: count })
  for (let n = 1; n <= count; n++) entries.set(keyOf(n), textOf(n))
  return entries
}

async function sidecar() {
  const epoch = '7000000000000000000-00000001'
  const store = {
    position: async () => ({ epoch, latest: 0n, hasMark: true }),
    mark: async () => ({ mark: '1', latest: 0n }),
    versions: async () => new Map(),
    read: async (wanted) =>
      new Map(
        wanted.map(({ key }) => {
          if (HOLDER === 'negative') return [key, { version: undefined, epoch }]
          const n = Number(key.slice(4))
          return [key, { key, value: textOf(n), version: flat(String(n)), epoch, remainingMs: undefined }]
        }),
      ),
  }
  const options = {
    capacity: count,
    negativeCapacity: count,
    maxBytes: undefined,
    ttlMs: Number.POSITIVE_INFINITY,
    maxStalenessMs: 3_600_000,
    onFeedLoss: 'bypass',
    onWriteOutage: 'local',
    maxPendingBytes: 1_000_000,
    maxStatements: 2,
    maxReads: 9,
    maxWaitMs: 3_600_000,
    idleAfterMs: 0,
  }
  const clock = { now: () => performance.now(), defer: setImmediate }
  const log = { info() {}, warn() {} }
  const cache = new Cache(options, { store, clock, log })
  await cache.listening(clock.now(), { fingerprint: '', roundTrip: async () => 0, end() {} })
  for (let n = 1; n <= count; n += 500) {
    const end = Math.min(n + 500, count + 1)
    await Promise.all(Array.from({ length: end - n }, (_, index) => cache.get(keyOf(n + index))))
  }
  const { size, negativeSize } = cache.status()
  if (size + negativeSize !== count) throw new Error(`holds ${size + negativeSize} of ${count}`)
  return cache
}

const before = await heapBytes()
const holder = await (HOLDER === 'lru-cache' ? lru() : sidecar())
const after = await heapBytes()
process.stdout.write(`${(after - before) / count}\n`)
// Until here it must not be collected.
globalThis.holder = holder
