import t from 'tap'
import type { ChangeFeedHandler } from '../../../src/core/ports.js'
import { PostgresChangeFeed } from '../../../src/postgres/feed/feed.js'
import type { Database } from '../../../src/postgres/pool/database.js'
import { Gate } from '../../support/gate.js'
import { recordingLog } from '../../support/recording-log.js'

t.test('close() waits until the session that is under way has ended', async (t) => {
  const preparing = new Gate()
  const tables: unknown[] = []
  const feed = new PostgresChangeFeed(
    { url: 'postgresql://nobody@127.0.0.1:1/nothing', maxStalenessMs: 1_000, whenIdle: 'listen' },
    {
      database: {} as Database,
      clock: { now: () => 0 },
      log: recordingLog().log,
      prepare: () => preparing.pass(),
      onTable: (table) => tables.push(table),
    },
  )
  const started = feed.start({} as ChangeFeedHandler)
  await preparing.reached
  t.strictSame(tables, [])
  await feed.close()
  t.strictSame(tables, [undefined])
  await started
})
