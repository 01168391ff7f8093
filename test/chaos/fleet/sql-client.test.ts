import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { SqlClient } from './sql-client.js'

const database = await cacheDatabase(t)
const sql = new SqlClient(database.url)
t.teardown(() => sql.close())
const keys = ['a', 'b', 'c']

t.beforeEach(async () => {
  await database.query('truncate cache_entries')
  await sql.upsertAll(keys, 'before')
})

async function rows() {
  const { rows } = await database.query<{ key: string; value: string; version: string; number: string }>(
    'select key, value, version, version >> 24 as number from cache_entries order by key',
  )
  return rows
}

async function position() {
  const { rows } = await database.query<{ last: string }>('select last_value as last from cache_version')
  return Number(rows[0]?.last)
}

for (const isCaughtUp of [true, false]) {
  t.test(
    `numbers are handed out again; the sequence ${isCaughtUp ? 'has caught up' : 'is behind'}`,
    async (t) => {
      const [before, last] = [await rows(), await position()]
      const outcome = await sql.handOutAgain([...keys, 'absent'], 'after', isCaughtUp)
      t.same(keys.map(outcome), ['ok', 'ok', 'ok'])
      t.equal(outcome('absent'), 'nothing')
      t.same(
        await rows().then((after) => after.map(({ value, number }) => [value, number])),
        before.map(({ number }) => ['after', number]),
      )
      if (isCaughtUp) t.equal(await position(), last)
      else t.ok((await position()) < last)
    },
  )
}

t.test('values are changed without a new version', async (t) => {
  const before = await rows()
  const { rows: triggers } = await database.query('select tgname, tgenabled from pg_trigger order by tgname')
  const outcome = await sql.updateWithoutTriggers([...keys, 'absent'], 'after')
  t.same([...keys, 'absent'].map(outcome), ['ok', 'ok', 'ok', 'nothing'])
  t.same(
    await rows(),
    before.map((row) => ({ ...row, value: 'after' })),
  )
  t.same(
    (await database.query('select tgname, tgenabled from pg_trigger order by tgname')).rows,
    triggers,
    'triggers are as they were',
  )
  const again = await sql.rewrite(['a', "it's", 'absent'], '{"name":"rewritten"}')
  t.same(['a', 'absent'].map(again), ['ok', 'nothing'])
  t.same(
    await rows().then((after) => after.map(({ value, version }) => [value, version])),
    before.map(({ key, version }) => [key === 'a' ? '{"name":"rewritten"}' : 'after', version]),
  )
})

t.test('an expired row is absent', async (t) => {
  await database.query("update cache_entries set expires_at = now() - interval '1 s' where key = 'a'")
  t.equal(await sql.read('a'), null)
  t.equal(await sql.read('b'), 'before')
  t.match(
    await sql.readAll(['a', 'b']),
    new Map([
      ['a', { isExpired: true }],
      ['b', { isExpired: false }],
    ]),
  )
  t.equal(await sql.update('a', 'again'), 'ok')
  t.equal(await sql.read('a'), 'again', 'a write takes the default, which is for ever')
})
