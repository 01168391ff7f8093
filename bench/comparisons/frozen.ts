import { setTimeout as sleep } from 'node:timers/promises'
import type { Bench } from '../bench.js'
import type { Comparison, Contender } from '../comparison.js'
import { startFleetServer } from '../fleet-server.js'
import { Lifetime } from '../lifetime.js'
import { type ListenerKind, startListeners } from '../listeners.js'
import { startClient } from '../load/load.js'
import type { BenchDatabase } from '../postgres.js'
import { startSidecar } from '../sidecar.js'

const changesPerSecond = 1_000
/** Moments of measurement, in seconds after the queue begins to grow. */
const looksAtSeconds = [5, 10, 20, 30] as const
const queueMiB = 8_192
const mib = 2 ** 20
const caughtUpWithinMs = 30_000

const ours = 'one frozen sidecar'
const theirs = 'one frozen bare client'
const row = { of: ours, against: theirs } as const

/** One process that listens is stopped (SIGSTOP) while 1,000 keys per second change; then it goes on. */
export const frozen: Comparison = {
  name: 'frozen',
  about: `one listener is frozen while ${changesPerSecond} keys per second change: the server's notification queue`,
  once: true,
  onlyWhenNamed: true,
  rows: [
    ...looksAtSeconds.map((seconds) => ({
      ...row,
      work: `queue after ${seconds} s`,
      figure: `queueKiBAt${seconds}`,
      unit: 'KiB',
    })),
    { ...row, work: 'queue: growth while it is held up', figure: 'kibPerSecond', unit: 'KiB/s' },
    { ...row, work: 'queue: full (8 GiB) at that rate after', figure: 'hoursToFull', unit: 'hours' },
    { ...row, work: 'its connection takes before that', figure: 'socketMiB', unit: 'MiB' },
    {
      work: 'session ended by the server after',
      figure: 'endedSeconds',
      unit: 's',
      of: ours,
      target: { atMost: 15 },
    },
    { work: 'queue empty after', figure: 'emptySeconds', unit: 's', of: ours },
    { ...row, work: 'continued: follows again after', figure: 'backMs', unit: 'ms' },
  ],
  async open(bench) {
    return [contender(bench, ours, 'sidecar feeds'), contender(bench, theirs, 'bare clients')]
  },
}

function contender(bench: Bench, name: string, kind: ListenerKind): Contender {
  return {
    name,
    measure: async () => {
      const round = new Lifetime()
      bench.teardown(() => round.end())
      const { database } = await startFleetServer(bench, round, 2)
      const { port } = await startSidecar(round, { databaseUrl: database.url, on: 'load' })
      const listeners = await startListeners(round, kind, 1, database, { LOG_LEVEL: 'silent' })
      const [pid = 0] = listeners.pids
      // A stopped process does not end at a SIGTERM.
      round.teardown(() => process.kill(pid, 'SIGCONT'))
      const session = await listenerOf(database, kind)

      process.kill(pid, 'SIGSTOP')
      const socketMiB = await fillConnection(database)
      const startMs = performance.now()
      const load = startClient({
        ports: [port],
        connections: 16,
        seconds: looksAtSeconds.at(-1) as number,
        work: { kind: 'set-new', prefix: name, valueBytes: 100 },
        rate: changesPerSecond,
      })
      const figures: Record<string, number> = { socketMiB }
      const secondsNow = () => (performance.now() - startMs) / 1_000
      for (const seconds of looksAtSeconds) {
        for (;;) {
          const { queueMiB, isThere } = await look(database, session)
          if (!isThere) figures.endedSeconds ??= secondsNow()
          if (!isThere && queueMiB === 0) figures.emptySeconds ??= secondsNow()
          figures[`queueKiBAt${seconds}`] = queueMiB * 1_024
          if (secondsNow() >= seconds) break
          await sleep(100)
        }
      }
      // Neither is let go that early, and the others have long read what filled the connection.
      const grownKiB = (figures.queueKiBAt10 as number) - (figures.queueKiBAt5 as number)
      figures.kibPerSecond = grownKiB / 5
      figures.hoursToFull = (queueMiB * 1_024) / (figures.kibPerSecond as number) / 3_600
      await load.result

      await database.query("insert into cache_entries (key, value) values ('the last', 'one')")
      const continuedMs = performance.now()
      process.kill(pid, 'SIGCONT')
      await untilFollowing(database, listeners.heard)
      figures.backMs = performance.now() - continuedMs
      await round.end()
      return figures
    },
  }
}

/** The server's process that serves the listener which came last. */
async function listenerOf({ query }: BenchDatabase, kind: ListenerKind): Promise<number> {
  const [row] = await query<{ pid: number }>(
    `select pid from pg_stat_activity
     where application_name = $1 and query ilike '%listen%' and datname = current_database()
     order by backend_start desc limit 1`,
    [kind === 'sidecar feeds' ? 'caching-layer changes' : ''],
  )
  if (row === undefined) throw new Error('there is no listener')
  return row.pid
}

async function look(
  { query }: BenchDatabase,
  session: number,
): Promise<{ readonly queueMiB: number; readonly isThere: boolean }> {
  const [row] = await query<{ usage: number; is_there: boolean }>(
    `select pg_notification_queue_usage() as usage,
            exists (select from pg_stat_activity where pid = $1) as is_there`,
    [session],
  )
  return { queueMiB: (row?.usage ?? 0) * queueMiB, isThere: row?.is_there ?? false }
}

/** Fills the buffers of a connection whose listener does not read. Returns how much they took. */
async function fillConnection({ query, channel }: BenchDatabase): Promise<number> {
  const [bytes, count] = [7_000, 100]
  for (let rounds = 1; rounds <= 1_000; rounds++) {
    await query(
      `select pg_notify($1, '["filler ' || repeat('x', $2 - 20) || '","' || n || '"]') from generate_series(1, $3::int) as n`,
      [channel, bytes, count],
    )
    // The listeners that are awake read the queue to its end.
    await sleep(20)
    const [row] = await query<{ usage: number }>('select pg_notification_queue_usage() as usage')
    if ((row?.usage ?? 0) * queueMiB > 1) return (rounds * count * bytes) / mib
  }
  throw new Error('the connection of a frozen process takes everything')
}

/** Asks by changes: until one is heard that was made after the listener went on. */
async function untilFollowing({ query }: BenchDatabase, heard: () => Promise<number>): Promise<void> {
  const endMs = performance.now() + caughtUpWithinMs
  const before = await heard()
  for (let count = 1; (await heard()) <= before; count++) {
    if (performance.now() > endMs) throw new Error('the listener does not follow again')
    await query('update cache_entries set value = $1 where key = $2', [String(count), 'the last'])
    await sleep(5)
  }
}
