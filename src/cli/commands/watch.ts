import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage } from '../../errors/error-message.js'
import type { Command, CommandInput } from '../command.js'
import { type ListenerClient, refusal } from '../listener-client.js'
import { dataListeners, dataUrlsOption } from '../listeners.js'
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

interface Reading {
  readonly counted: Counted
  readonly atMs: number
}

/**
 * Prints, until stopped, a line every few seconds with the rates since the line before. Survives restarts. Of several
 * sidecars, it prints a line for each, which begins with the URL.
 */
export const watch: Command = {
  options: {
    seconds: { type: 'string', value: 'SECONDS', about: 'time between two lines (1)' },
    url: dataUrlsOption,
  },
  settings: 'accepted',
  async run({ values, lists, environment, stop, out, note }) {
    const seconds = Number(values.get('seconds') ?? '1')
    if (!(seconds >= 0.1 && seconds <= 3_600))
      throw new UsageError('watch: --seconds must be a number from 0.1 to 3600')
    const listeners = await dataListeners({ environment, values, lists })
    const isAlone = listeners.length === 1
    const watched = listeners.map((listener) => ({
      listener,
      out: (line: string) => out(isAlone ? line : `${listener.name}  ${line}`),
      note: (line: string) => note(isAlone ? line : `${listener.name}: ${line}`),
    }))
    // A sidecar that never answers is an error, one that no longer answers may be starting again.
    const first = await Promise.allSettled(listeners.map(read))
    const failures = first.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    const wrongUse = failures.find((reason) => reason instanceof UsageError)
    if (wrongUse !== undefined || failures.length === first.length) throw wrongUse ?? failures[0]
    await Promise.all(
      watched.map((one, index) => {
        const before = first[index]
        return watchOne(one, before?.status === 'fulfilled' ? before.value : undefined, { seconds, stop })
      }),
    )
    return 0
  },
}

interface Watched extends Pick<CommandInput, 'out' | 'note'> {
  readonly listener: ListenerClient
}

/** Prints the rates of one sidecar until stopped. */
async function watchOne(
  { listener, out, note }: Watched,
  first: Reading | undefined,
  { seconds, stop }: { readonly seconds: number; readonly stop: AbortSignal },
): Promise<void> {
  let before = first
  let toldReason = ''
  while (!stop.aborted) {
    await sleep(seconds * 1_000, undefined, { signal: stop }).catch(() => undefined)
    if (stop.aborted) break
    try {
      const now = await read(listener)
      if (before === undefined) note('the sidecar answers again')
      else if (isRestarted(before.counted, now.counted)) note('the sidecar has been restarted')
      else out(lineOf(before.counted, now.counted, (now.atMs - before.atMs) / 1_000))
      before = now
      toldReason = ''
    } catch (error) {
      if (error instanceof UsageError) throw error
      const reason = errorMessage(error)
      if (reason !== toldReason) note(`waiting for the sidecar: ${reason}`)
      toldReason = reason
      before = undefined
    }
  }
}

async function read(listener: ListenerClient): Promise<Reading> {
  const answer = await listener.ask('/cache/stats')
  if (answer.status !== 200) throw refusal(answer)
  return { counted: answer.body as unknown as Counted, atMs: performance.now() }
}

/** Returns true if a counter is lower than before: they start at 0 with the process. */
function isRestarted(before: Counted, now: Counted): boolean {
  return (['hits', 'misses', 'changes_applied'] as const).some((name) => now[name] < before[name])
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
