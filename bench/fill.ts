import { load } from './load/load.js'
import type { BenchSidecar } from './sidecar.js'

const secondsAtOnce = 5
const withinMs = 15 * 60_000

/** Reads `key:1` to `key:KEYS` until all of them are held. */
export async function fill({ port, client }: BenchSidecar, keys: number): Promise<void> {
  const deadlineMs = performance.now() + withinMs
  let from = 0
  while ((await client.stats()).size < keys) {
    if (performance.now() > deadlineMs) throw new Error(`${keys} entries are not held after ${withinMs} ms`)
    const { requests } = await load({
      port,
      connections: 128,
      seconds: secondsAtOnce,
      work: { kind: 'walk', keys, from },
      mayFail: true,
    })
    // The load stops in the midst of things: what it had asked for last may not be here.
    from = (from + requests) % keys
  }
}
