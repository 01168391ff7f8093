import type { Cache } from '../cache.js'
import { hasCode } from '../errors.js'
import type { Clock } from '../ports.js'
import { validateKey } from '../state/validate-key.js'

export interface WarmingParts {
  readonly cache: Pick<Cache, 'warm' | 'touch' | 'status'>
  readonly clock: Clock
  /** Returns the maximum number of entries at this moment. */
  readonly capacity: () => number
  /** Stops the warm-up within a turn of the event loop. Statements in flight end by themselves. */
  readonly stop: AbortSignal
}

export interface Warmed {
  /** Number of entries put, and number of keys that were read. */
  readonly put: number
  readonly asked: number
  /** Reason why some keys were not read; undefined if all were. */
  readonly ended: Ended | undefined
}

export type Ended =
  | { readonly kind: 'full' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly reason: string }

const firstKeys = 32
/** Maximum number of keys at once. A statement takes more, so readers who come meanwhile can share it. */
const mostKeys = 250
/** Target duration of a statement, because a reader behind it may have to wait for as long. */
const statementMs = 25
const touchedAtOnce = 1_000

/**
 * Fills the keys, the most wanted first, with one statement in flight at a time: the other statements are left to
 * readers, and their misses can share this one. It reads as many keys at once as the store answers in 25 ms, so that
 * large values and slow servers get few. It evicts nothing. In the end the most wanted keys are the last to be evicted.
 */
export async function warm(
  keys: readonly string[],
  { cache, clock, capacity, stop }: WarmingParts,
): Promise<Warmed> {
  const stopped = new Promise<undefined>((resolve) => {
    stop.addEventListener('abort', () => resolve(undefined), { once: true })
  })
  const evictionsBefore = cache.status().stats.evictions
  let [asked, put, atOnce] = [0, 0, firstKeys]
  let ended: Ended | undefined
  while (asked < keys.length && ended === undefined) {
    const { size, feed, stats } = cache.status()
    const room = stats.evictions > evictionsBefore ? 0 : capacity() - size
    if (stop.aborted) ended = { kind: 'stopped' }
    else if (room <= 0) ended = { kind: 'full' }
    else if (feed === 'down') ended = { kind: 'failed', reason: 'the change feed was lost' }
    else {
      const chunk = keys.slice(asked, asked + Math.min(atOnce, room))
      const sentMs = clock.now()
      const results = await Promise.race([stopped, fill(chunk, cache)])
      if (results === undefined) continue
      asked += chunk.length
      put += results.filter((result) => result === true).length
      const failure = results.find((result) => result instanceof Error)
      if (failure) ended = { kind: 'failed', reason: failure.message }
      const tookMs = clock.now() - sentMs
      atOnce = Math.min(mostKeys, atOnce * 2, Math.ceil((chunk.length * statementMs) / tookMs))
    }
  }
  for (let end = asked; end > 0; end -= touchedAtOnce) {
    cache.touch(keys.slice(Math.max(0, end - touchedAtOnce), end).reverse())
    await new Promise<void>((resolve) => clock.defer(resolve))
  }
  return { put, asked, ended }
}

/** Resolves, for each key, to true if it was put, or to the error if the store could not be asked. */
function fill(keys: readonly string[], cache: WarmingParts['cache']): Promise<(boolean | Error)[]> {
  return Promise.all(
    keys.map(async (key) => {
      try {
        return validateKey(key) === undefined && (await cache.warm(key))
      } catch (error) {
        // A problem of this key alone does not concern the next.
        return hasCode(error, 'refused', 'too-large', 'binding-unusable') ? false : (error as Error)
      }
    }),
  )
}
