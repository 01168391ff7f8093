import type { Test } from 'tap'
import type { ChangeFeedHandler } from '../../src/core/ports.js'
import {
  PostgresChangeFeed,
  type PostgresChangeFeedOptions,
  type PostgresChangeFeedParts,
} from '../../src/postgres/feed/feed.js'
import type { Database } from '../../src/postgres/pool/database.js'
import { DrivenClock } from './driven-clock.js'
import { recordedPauses } from './recorded-pauses.js'
import { recordingLog } from './recording-log.js'
import { type ScriptedAnswer, scriptedPostgres } from './scripted-postgres.js'

/** A table without a fault, as an inspection finds it. */
const table = {
  schema: 'public',
  kind: 'r',
  queue_usage: '0',
  channel: 'changes',
  key_type: 'text',
  key_is_exact: 't',
  value_type: 'text',
  odd_columns: '',
  foreign_owner: null,
  has_unique_key: 't',
  untying: '',
  lacks: '',
  missing: '',
  disabled: '',
  rules: '',
  has_nullable_value: '',
  functions_schema: 'public',
  is_up_to_date: 't',
  fingerprint: 'f',
}

/** Answers the statements of a session like a server whose table has no fault, and that has no bindings. */
function answerOf(statement: string, channel: string): ScriptedAnswer {
  if (/^(LISTEN|set|prepare) /.test(statement)) return []
  if (statement.startsWith('execute'))
    return [{ epoch: 'e', latest: '7', fingerprint: 'f', bindings: 'd', prepared: '', database_ms: '5' }]
  if (statement.includes('as digest')) return [{ digest: 'd', tables: '', queries: '' }]
  if (statement.includes('as prepared')) return [{ prepared: '' }]
  return [{ ...table, channel }]
}

export interface ScriptedFeedOptions
  extends Partial<PostgresChangeFeedOptions>,
    Partial<PostgresChangeFeedParts> {
  readonly handler?: Partial<ChangeFeedHandler>
  /** Returns false for a statement that is not answered; `pg_notify` is an echo, which does not arrive then. */
  readonly answers?: (statement: string) => boolean
  readonly onPause?: (pauses: readonly number[]) => unknown
}

/** Starts the real feed of a scripted server. Its pauses take no time, and what they draw at random is 0.5. */
export async function scriptedFeed(
  t: Test,
  { handler, answers = () => true, onPause, ...more }: ScriptedFeedOptions = {},
) {
  const state = { channel: 'changes', renewed: 0, sessions: 0, isStarted: false }
  const server = await scriptedPostgres(t, {
    answer: (statement) => {
      return answers(statement) ? answerOf(statement, state.channel) : undefined
    },
  })
  t.intercept(Math, 'random', { value: () => 0.5 })
  const pauses = recordedPauses(t, () => onPause?.(pauses))
  const { log, logged } = recordingLog()
  const told: unknown[] = []
  const tables: (string | undefined)[] = []
  const database = {
    // The echo of the feed.
    read: async (_text: string, [channel, payload]: string[]) => {
      if (answers('pg_notify')) server.notify(channel ?? '', payload ?? '')
    },
    renew: () => state.renewed++,
  } as unknown as Database
  const feed = new PostgresChangeFeed(
    { url: server.url, maxStalenessMs: 3_000, whenIdle: 'listen', ...more },
    {
      database,
      clock: new DrivenClock(),
      log,
      onTable: (found) => tables.push(found?.channel),
      prepare: async () => void state.sessions++,
      ...more,
    },
  )
  t.teardown(() => feed.close())
  const started = feed.start({
    bound: () => undefined,
    listening: async () => void told.push('listening'),
    proven: () => undefined,
    changed: () => undefined,
    lost: (...reasons) => void told.push(reasons),
    rest: () => undefined,
    ...handler,
  })
  started.then(() => {
    state.isStarted = true
  })
  return { feed, server, state, pauses, logged, told, tables }
}
