import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage } from '../../errors/error-message.js'
import type { Command, CommandInput } from '../command.js'
import { type ListenerClient, reasonOf, refusal } from '../listener-client.js'
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
      reasonFor: (error: unknown) => (isAlone ? errorMessage(error) : reasonOf(error, listener)),
    }))
    const firsts = listeners.map(read)
    const someAnswer = Promise.any(firsts)
    someAnswer.catch(() => undefined) // for when no sidecar waits for it
    const ended = new AbortController()
    stop.addEventListener('abort', () => ended.abort(), { once: true })
    try {
      await Promise.all(
        watched.map((one, index) =>
          watchOne(one, { first: firsts[index], someAnswer, seconds, stop: ended.signal }),
        ),
      )
    } finally {
      ended.abort()
    }
    return 0
  },
}

interface Watched extends Pick<CommandInput, 'out' | 'note'> {
  readonly listener: ListenerClient
  /** Why the sidecar does not answer, for a note. */
  readonly reasonFor: (error: unknown) => string
}

interface Watching {
  /** Answer to the first question. */
  readonly first: Promise<Reading> | undefined
  /** Rejects if no sidecar answers its first question. */
  readonly someAnswer: Promise<Reading>
  readonly seconds: number
  readonly stop: AbortSignal
}

/**
 * Prints the rates of one sidecar until stopped. One that never answers is waited for if another one does: it may be
 * starting.
 */
async function watchOne(
  { listener, out, note, reasonFor }: Watched,
  { first, someAnswer, seconds, stop }: Watching,
): Promise<void> {
  let before: Reading | undefined
  let toldReason = ''
  let asked = first
  while (!stop.aborted) {
    try {
      const now = await (asked ?? read(listener))
      if (before !== undefined)
        if (isRestarted(before.counted, now.counted)) note('the sidecar has been restarted')
        else out(lineOf(before.counted, now.counted, (now.atMs - before.atMs) / 1_000))
      else if (toldReason !== '') note('the sidecar answers again')
      before = now
      toldReason = ''
    } catch (error) {
      if (error instanceof UsageError) throw error
      await someAnswer.catch(() => {
        throw error
      })
      const reason = reasonFor(error)
      if (reason !== toldReason) note(`waiting for the sidecar: ${reason}`)
      toldReason = reason
      before = undefined
    }
    asked = undefined
    await sleep(seconds * 1_000, undefined, { signal: stop }).catch(() => undefined)
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
