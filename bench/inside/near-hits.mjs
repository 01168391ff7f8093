import { LRUCache } from 'lru-cache'
import { createClient } from '../../clients/node/dist/index.js'

/**
 * An application with COUNT values of 100 bytes, in a near cache and in a bare lru-cache. For each message, the name of
 * a contender and a time in ms, it reads them in turn for that long, and says how many reads a second of CPU time took.
 */
const { URL: url, COUNT } = process.env
const keys = Array.from({ length: Number(COUNT) }, (_, index) => `key:${index + 1}`)
const atOnce = 32

const near = createClient({
  url,
  near: { maxEntries: 2 * keys.length, maxBytes: 1e9, ttlMs: 3_600_000 },
  timeoutMs: 60_000,
})
const plain = createClient({ url })
const bare = new LRUCache({ max: 2 * keys.length })

const fill = async () => {
  for (const [key, value] of await near.getMany(keys)) bare.set(key, value)
  return keys.every((key) => near.near.get(key) === bare.get(key))
}

/** Each reads all keys once. */
const contenders = {
  'near.get()': async () => {
    for (const key of keys) if (near.near.get(key) === undefined) throw new Error(`${key} is not held`)
  },
  'await get()': async () => {
    for (const key of keys) if ((await near.get(key)) === undefined) throw new Error(`${key} is not held`)
  },
  'lru-cache': async () => {
    for (const key of keys) if (bare.get(key) === undefined) throw new Error(`${key} is not held`)
  },
  HTTP: () =>
    Promise.all(
      Array.from({ length: atOnce }, async (_, first) => {
        for (let index = first; index < keys.length; index += atOnce) await plain.get(keys[index])
      }),
    ),
}

process.on('message', async ({ name, ms }) => {
  while (!(await fill()));
  const before = process.cpuUsage()
  const endMs = performance.now() + ms
  let rounds = 0
  while (performance.now() < endMs) {
    await contenders[name]()
    // The stream of changes has to be read meanwhile, as in an application.
    await new Promise(setImmediate)
    rounds++
  }
  const { user, system } = process.cpuUsage(before)
  process.send((rounds * keys.length) / ((user + system) / 1e6))
})
process.send('ready')
