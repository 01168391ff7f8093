import type { Entry } from '../entry.js'
import type { Clock } from '../ports.js'
import type { LocalCache } from './local-cache.js'

/** In one turn of the event loop: a walk over a million entries at once would hold up every request for a second. */
const atOnce = 1_000

/**
 * The keys of the entries held, expired ones too, each once; what was used last comes first. Entries are used, put and
 * dropped while it walks, so the order is that of one moment or another:
 *   1. the walk rests on an entry     3. it goes on from there: what is new since is first, what it knows comes again
 *   2. that is used, and moves to the front
 * Were it dropped instead, the walk would end there; so it begins anew.
 */
export async function heldKeys(local: LocalCache, clock: Clock): Promise<string[]> {
  const keys = new Set<string>()
  // However much moves meanwhile, it ends.
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
