import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import type { Database } from '../../../src/postgres/pool/database.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { createChangeFeed } from '../../../src/sidecar/create-change-feed.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { Gate } from '../../support/gate.js'
import { recordingLog } from '../../support/recording-log.js'
import { scriptedPostgres } from '../../support/scripted-postgres.js'

/** A table as the migrations make it, as a session reads it. */
const soundRow = {
  schema: 'its own',
  kind: 'r',
  channel: 'c',
  key_type: 'text',
  key_is_exact: null,
  has_unique_key: 'true',
  value_type: 'text',
  odd_columns: '',
  foreign_owner: null,
  untying: '',
  lacks: '',
  has_nullable_value: '',
  rules: '',
  missing: '',
  disabled: '',
  functions_schema: null,
  is_up_to_date: 'true',
  fingerprint: 'f',
}

/**
 * Starts the feed over a server with a sound table, and the given usage of its notification queue. Without one, the
 * server has no table. Resolves when the session has found the table, or has failed.
 */
async function started(t: Test, queueUsage?: string, migratesFirst = false) {
  const server = await scriptedPostgres(t, {
    answer: (statement) => {
      if (statement.includes('as queue_usage'))
        return queueUsage === undefined ? [] : [{ ...soundRow, queue_usage: queueUsage }]
      return statement.includes('as digest') ? [{ digest: 'd', tables: '', queries: '' }] : []
    },
  })
  const echo = new Gate()
  const database = { read: () => echo.pass(), renew: () => undefined } as unknown as Database
  const { log, logged } = recordingLog()
  const schema = new SchemaName(database)
  const { config } = loadConfig({ DATABASE_URL: server.url })
  const { feed, queueUsage: usage } = createChangeFeed({
    config,
    migratesFirst,
    database,
    bindings: { onOutdated: () => undefined, found: () => undefined } as never,
    schema,
    clock: new DrivenClock(),
    log,
  })
  t.equal(usage(), undefined, 'before the first session')
  let reason: string | undefined
  const handler = { bound: () => undefined, lost: (lost: string) => (reason = lost) }
  const attempted = feed.start(handler as never)
  await Promise.race([echo.reached, attempted])
  return {
    usage,
    schema,
    server,
    logged,
    reason: () => reason,
    close: async () => {
      await feed.close()
      echo.open()
    },
  }
}

t.test('a notification queue that is more than half full is an alarm', async (t) => {
  for (const [queueUsage, alarms] of [
    ['0.5', []],
    [
      '0.51',
      [
        {
          level: 'warn',
          fields: { queueUsage: '0.51' },
          message: 'the notification queue is filling up: a listener is stuck',
        },
      ],
    ],
  ] as const) {
    const { usage, logged, close } = await started(t, queueUsage)
    t.equal(usage(), queueUsage)
    t.strictSame(logged, alarms)
    await close()
    t.equal(usage(), undefined, 'after the session')
  }
})

t.test('statements use the schema in which the session has found the table', async (t) => {
  const { schema, close } = await started(t, '0')
  t.equal(schema.get(), 'its own')
  await close()
})

t.test('a session begins without migrations, unless they are asked for', async (t) => {
  const without = await started(t, '0')
  t.match(without.server.startups[0], 'caching-layer changes')
  await without.close()
  const first = await started(t, '0', true)
  t.equal(first.server.startups.length, 1)
  t.notMatch(first.server.startups[0], 'caching-layer changes')
  t.match(first.reason(), /./, 'it cannot be migrated here, and so is not listened to')
  await first.close()
})
