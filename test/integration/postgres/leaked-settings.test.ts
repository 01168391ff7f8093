/** Tests of sessions that begin with a setting which another client of a pooler has left behind. */
import t from 'tap'
import type { PendingWrite } from '../../../src/core/entry.js'
import { type ProofRow, proofIn, proofOf } from '../../../src/postgres/feed/proof.js'
import { Attempts } from '../../../src/postgres/pool/attempts.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { PostgresEntryList } from '../../../src/postgres/store/entry-list.js'
import { PostgresFillLeases } from '../../../src/postgres/store/fill-leases.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { cacheDatabase } from '../../support/database.js'
import { FaultProxy } from '../../support/fault-proxy.js'
import { recordingLog } from '../../support/recording-log.js'

const { url, query } = await cacheDatabase(t)
const proxy = new FaultProxy(Number(new URL(url).port))
const proxied = Object.assign(new URL(url), { port: String(await proxy.listen()) }).href
t.teardown(() => proxy.close())

/** Settings that could change the meaning or the result of a statement. */
const settings = [
  'set array_nulls = off',
  'set standard_conforming_strings = off; set bytea_output = escape; set extra_float_digits = -15',
  `set DateStyle = 'SQL, DMY'; set IntervalStyle = 'sql_standard'; set TimeZone = 'Asia/Kathmandu'`,
  `set search_path = pg_temp; set quote_all_identifiers = on`,
  `set default_transaction_isolation = 'serializable'`,
  'set row_security = off; set transform_null_equals = on',
]

const kept = (key: string, value: string | undefined): PendingWrite => ({
  key,
  value,
  base: { kind: 'unseen', mark: undefined },
  epoch: undefined,
  mayHaveHappened: false,
  outcomes: [],
})

for (const leaked of settings) {
  t.test(leaked, async (t) => {
    proxy.leak(leaked)
    const { log } = recordingLog()
    const clock = { now: () => performance.now(), defer: setImmediate }
    const database = new Database({ url: proxied, poolSize: 1, timeoutMs: 5_000, log })
    t.teardown(() => database.close())
    const schema = new SchemaName(database)
    schema.found('public')
    const attempts = new Attempts({ clock, log, timeoutMs: 5_000 })
    const store = new PostgresStore({ database, attempts, schema })
    await query('delete from cache_entries')

    const written = await store.write([
      { key: 'string', value: '"text"' },
      { key: 'json', value: '{"a":1}' },
    ])
    const rows = () => query('select key, value, content_type from cache_entries order by key')
    t.same((await rows()).rows, [
      { key: 'json', value: '{"a":1}', content_type: 'application/json' },
      { key: 'string', value: 'text', content_type: null },
    ])

    const { version, epoch } = written.get('string') as { version: string; epoch: string }
    const read = await store.read([
      { key: 'string', held: { version, epoch, value: '"text"' } },
      { key: 'json' },
      { key: 'absent' },
    ])
    t.match(read.get('string'), { version })
    t.match(read.get('json'), { value: '{"a":1}' })
    t.match(read.get('absent'), { version: undefined })

    const condition = { noneMatch: [`${version}-${epoch}`] }
    const unmet = await store.writeIf({ key: 'string', value: '"other"', condition })
    t.match(unmet, { before: version, isMet: false })
    const tag = `${version}-${epoch}`
    const replaced = await store.writeIf({
      key: 'string',
      value: '"text"',
      condition: { match: ['1-1-00000000', tag] },
    })
    t.match(replaced, { before: version, isMet: true, written: { epoch, isAsSent: true } })
    const binary = { key: 'binary', value: '"AP8="', mediaType: 'image/png;base64' }
    const created = await store.writeIf({ ...binary, ttlMs: 60_000, condition: { noneMatch: '*' } })
    t.match(created, { before: undefined, isMet: true, written: { remainingMs: Number } })
    t.match((await store.read([{ key: 'binary' }])).get('binary'), binary)
    t.match(await store.writeIf({ key: 'binary', value: undefined, condition: { match: '*' } }), {
      isMet: true,
      written: { epoch },
    })

    const settled = await store.settle([kept('new', '"kept"'), kept('gone', undefined)], () => undefined)
    t.match(settled.get('new'), { kind: 'written' })
    t.match(settled.get('gone'), { kind: 'written', written: undefined })
    t.match((await rows()).rows, [{ key: 'json' }, { key: 'new', value: 'kept', content_type: null }, {}])

    // With one digit, it would be 20 seconds.
    const ttlMs = 16_640
    const isExact = (remainingMs = Number.NaN) => remainingMs > 0 && remainingMs <= ttlMs
    const expiring = (await store.write([{ key: 'expiring', value: '1', ttlMs }])).get('expiring')
    t.ok(isExact(expiring?.remainingMs), `a write: ${expiring?.remainingMs}`)
    const again = (await store.read([{ key: 'expiring' }])).get('expiring') as { remainingMs: number }
    t.ok(isExact(again.remainingMs), `a read: ${again.remainingMs}`)
    const list = new PostgresEntryList({ database, attempts, schema, withinMs: 5_000 })
    const [listed] = (await list.rows({ prefix: 'expiring', after: '' }, 1)).rows
    t.ok(isExact(listed?.remainingMs), `a list: ${listed?.remainingMs}`)
    const leases = new PostgresFillLeases({ database, attempts, schema })
    const wanted = { key: 'leased', groups: [], durationMs: ttlMs }
    t.match(await leases.acquire(wanted), { kind: 'granted' })
    const taken = (await leases.acquire(wanted)) as { remainingMs: number }
    t.ok(isExact(taken.remainingMs), `a lease: ${taken.remainingMs}`)
    const [proof] = await database.read<ProofRow>(proofIn('public'))
    const { databaseMs } = proofOf(proof as ProofRow, undefined)
    t.ok(Math.abs(databaseMs - Date.now()) < 600_000, `the clock of the database: ${databaseMs}`)
    await query('delete from cache_leases')
  })
}
