import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from '../command.js'
import { DataListener, refusal } from '../data-listener.js'
import { UsageError } from '../usage-error.js'

/** The watched part of `GET /cache/stats`. */
interface Counted {
  readonly size: number
  readonly hits: number
  readonly misses: number
  readonly changes_applied: number
  readonly feed: { readonly state: string; readonly lease_age_ms: number | null }
  readonly writes: { readonly pending: number }
}

/** Prints, until stopped, a line every few seconds with the rates since the line before. */
export const watch: Command = {
  options: { url: { type: 'string' }, seconds: { type: 'string' } },
  settings: true,
  async run({ values, environment, stop, out }) {
    const seconds = Number(values.get('seconds') ?? '1')
    if (!(seconds >= 0.1 && seconds <= 3_600))
      throw new UsageError('watch: --seconds must be a number from 0.1 to 3600')
    const listener = await DataListener.of({ environment, values })
    let before: { readonly counted: Counted; readonly atMs: number } | undefined
    while (!stop.aborted) {
      const answer = await listener.ask('/cache/stats')
      if (answer.status !== 200) throw refusal(answer)
      const now = { counted: answer.body as unknown as Counted, atMs: performance.now() }
      if (before) out(lineOf(before.counted, now.counted, (now.atMs - before.atMs) / 1_000))
      before = now
      await sleep(seconds * 1_000, undefined, { signal: stop }).catch(() => undefined)
    }
    return 0
  },
}

function lineOf(before: Counted, now: Counted, seconds: number): string {
  const [hits, misses, changes] = [
    now.hits - before.hits,
    now.misses - before.misses,
    now.changes_applied - before.changes_applied,
  ]
  const rate = (count: number) => `${Math.round(count / seconds)}/s`
  const ratio = hits + misses === 0 ? '-' : `${((100 * hits) / (hits + misses)).toFixed(1)} %`
  const { state, lease_age_ms: leaseAgeMs } = now.feed
  return [
    `reads ${rate(hits + misses)}`,
    `hits ${ratio}`,
    `changes ${rate(changes)}`,
    `entries ${now.size}`,
    `feed ${state}, proven ${leaseAgeMs === null ? 'never' : `${leaseAgeMs} ms ago`}`,
    ...(now.writes.pending > 0 ? [`pending writes ${now.writes.pending}`] : []),
  ].join('  ')
}
