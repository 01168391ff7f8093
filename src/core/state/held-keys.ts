import type { Entry } from '../entry.js'
import type { Clock } from '../ports.js'
import type { LocalCache } from './local-cache.js'

/**
 * Number of entries to visit in one turn of the event loop. A walk over a million entries at once would delay every
 * request by a second.
 */
const atOnce = 1_000

/**
 * Returns the keys of all entries, including expired ones, each once, most recently used first. Entries are used, put
 * and dropped during the walk, so the order is that of different moments:
 *
 *   1. The walk pauses at an entry.
 *   2. That entry is used, and moves to the front.
 *   3. The walk continues from there. New entries come first, and those already visited come again.
 *
 * If that entry is dropped instead, the walk would end there, so it starts again.
 */
export async function heldKeys(local: LocalCache, clock: Clock): Promise<string[]> {
  const keys = new Set<string>()
  // The number of steps is bounded, so the walk ends however many entries move meanwhile.
  let stepsLeft = 2 * local.size + atOnce
  let walk = local.entries()[Symbol.iterator]()
  while (stepsLeft > 0) {
    let last: Entry | undefined
    for (let step = 0; step < atOnce; step++) {
      const { done, value } = walk.next()
      if (done) return [...keys]
      keys.add(value.key)
      last = value
    }
    stepsLeft -= atOnce
    await new Promise<void>((resolve) => clock.defer(resolve))
    if (last && !local.holds(last)) walk = local.entries()[Symbol.iterator]()
  }
  return [...keys]
}
