import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage } from '../../errors/error-message.js'
import { textTable } from '../../text/text-table.js'
import type { Command } from '../command.js'
import { type ListenerClient, refusal } from '../listener-client.js'
import { operationsListenersWithToken, operationsUrlsOption } from '../listeners.js'
import { nameOnOneLine } from '../terminal-text.js'
import { UsageError } from '../usage-error.js'

/** The shown part of `GET /ui/fleet`. */
interface Fleet {
  readonly members: readonly Member[]
  readonly obstacle?: 'off' | 'idle' | 'failed'
}

interface Member {
  readonly host: string
  readonly pagePort: number | null
  readonly status: 'ready' | 'idle' | 'degraded' | 'unready' | 'silent'
  readonly lagMs: number | null
  readonly hitRatio: number | null
  readonly readsPerSecond: number | null
  readonly entries: number
  readonly version: string
  readonly seenMsAgo: number
  readonly isSelf: boolean
}

/** Moves the cursor to the top left corner; clears the rest of a line; clears everything after the cursor. */
const home = '\x1b[H'
const clearLine = '\x1b[K'
const clearBelow = '\x1b[J'
const clearScreen = '\x1b[2J'

/**
 * Shows the sidecars of the database, as one of them knows them. Of several, it shows what the first one to answer
 * knows. Without a terminal, prints them once.
 */
export const top: Command = {
  options: {
    once: { type: 'boolean', about: 'print the sidecars once, as without a terminal' },
    json: { type: 'boolean', about: 'print them once, as JSON' },
    seconds: { type: 'string', value: 'SECONDS', about: 'time between two refreshes (2)' },
    url: operationsUrlsOption,
  },
  settings: 'accepted',
  async run({ flags, values, lists, environment, stop, isTerminal, out }) {
    const seconds = Number(values.get('seconds') ?? '2')
    if (!(seconds >= 0.5 && seconds <= 3_600))
      throw new UsageError('top: --seconds must be a number from 0.5 to 3600')
    const listeners = await operationsListenersWithToken({ environment, values, lists })
    const first = await firstFleet(listeners)
    if (flags.has('json')) {
      out(JSON.stringify(first))
      return 0
    }
    if (flags.has('once') || !isTerminal) {
      for (const line of linesOf(first)) out(line)
      return 0
    }
    let lines = linesOf(first)
    out(clearScreen)
    while (!stop.aborted) {
      out(`${home}${lines.map((line) => `${line}${clearLine}`).join('\n')}${clearLine}${clearBelow}`)
      await sleep(seconds * 1_000, undefined, { signal: stop }).catch(() => undefined)
      if (stop.aborted) break
      const known = lines.filter((line) => !line.startsWith(trouble))
      lines = await firstFleet(listeners).then(linesOf, (error) => [
        ...known,
        `${trouble}${errorMessage(error)}`,
      ])
    }
    return 0
  },
}

const trouble = 'not refreshed: '

/** Returns the first answer. Rejects with all reasons if there is none. */
async function firstFleet(listeners: readonly ListenerClient[]): Promise<Fleet> {
  try {
    return await Promise.any(listeners.map(fleetOf))
  } catch (error) {
    const { errors } = error as AggregateError
    const wrongUse = errors.find((one) => one instanceof UsageError)
    throw wrongUse ?? new Error(errors.map(errorMessage).join('; '), { cause: error })
  }
}

async function fleetOf(listener: ListenerClient): Promise<Fleet> {
  const answer = await listener.ask('/ui/fleet')
  if (answer.status === 404)
    throw new Error(`${listener.name}: CACHE_UI=off, so it does not tell of its fleet`)
  if (answer.status !== 200) throw refusal(answer)
  return answer.body as unknown as Fleet
}

const notes: Readonly<Record<NonNullable<Fleet['obstacle']>, string>> = {
  off: 'CACHE_FLEET_INTERVAL_MS=0: this sidecar does not look at the fleet',
  idle: 'this sidecar is idle and leaves the database alone: the list is as it was last seen',
  failed: 'the list could not be read: caching-layer doctor names what is wrong',
}

function linesOf({ members, obstacle }: Fleet): string[] {
  const head = ['sidecar', 'state', 'lag', 'hits', 'reads/s', 'entries', 'version', 'seen']
  // Names come from the database, where others may write, too.
  const rows = members.map((member) => rowOf(member).map(nameOnOneLine))
  return [...textTable([head, ...rows]), ...(obstacle ? [notes[obstacle]] : [])]
}

function rowOf(member: Member): readonly string[] {
  const { host, pagePort, status, lagMs, hitRatio, readsPerSecond, entries, version, seenMsAgo, isSelf } =
    member
  const isSeen = status !== 'silent' && status !== 'idle'
  return [
    `${host}${pagePort === null ? '' : `:${pagePort}`}${isSelf ? '*' : ''}`,
    status,
    isSeen && lagMs !== null ? `${lagMs} ms` : '-',
    isSeen && hitRatio !== null ? `${(hitRatio * 100).toFixed(1)} %` : '-',
    isSeen && readsPerSecond !== null ? readsPerSecond.toFixed(1) : '-',
    String(entries),
    version,
    `${Math.round(seenMsAgo / 1_000)} s ago`,
  ]
}
