import pg from 'pg'
import t, { type Test } from 'tap'
import { Attempts } from '../../../src/postgres/pool/attempts.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { freshDatabase } from '../../support/database.js'
import { FaultProxy } from '../../support/fault-proxy.js'
import { recordingLog } from '../../support/recording-log.js'

async function proxied(t: Test) {
  const { url, query } = await freshDatabase(t)
  const proxy = new FaultProxy(Number(new URL(url).port))
  const through = Object.assign(new URL(url), { port: String(await proxy.listen()) }).href
  const clients: pg.Client[] = []
  t.teardown(async () => {
    for (const client of clients) await client.end().catch(() => undefined)
    await proxy.close()
  })
  return {
    proxy,
    url: through,
    directUrl: url,
    query,
    async connect() {
      const client = new pg.Client({ connectionString: through })
      client.on('error', () => undefined)
      await client.connect()
      clients.push(client)
      return client
    },
  }
}

/** The fields of an error as the server sent them; pg itself shows no V. */
async function fieldsOf(client: pg.Client, sql: string): Promise<{ severity: string; code: string }> {
  try {
    await client.query(sql)
  } catch (error) {
    const { severity = '', code = '', message } = error as pg.DatabaseError
    return { severity, code, ...{ message } }
  }
  throw new Error('no error')
}

t.test(
  'messages are translated in severity and text, on sessions that there are, and codes are not',
  async (t) => {
    const { proxy, connect } = await proxied(t)
    const client = await connect()
    t.match(await fieldsOf(client, 'select 1 / 0'), { severity: 'ERROR', code: '22012', message: /division/ })
    for (const translation of ['V kept', 'V left out'] as const) {
      proxy.translate(translation)
      const error = await fieldsOf(client, 'select 1 / 0')
      t.match(error, { severity: 'ОШИБКА', code: '22012', message: /на другом языке/ })
      const notices: unknown[] = []
      client.once('notice', ({ severity }) => notices.push(severity))
      await client.query(`do $$ begin raise notice 'any'; end $$`)
      t.same(notices, ['ЗАМЕЧАНИЕ'])
      t.same((await client.query(`select 'ERROR' as answer`)).rows, [{ answer: 'ERROR' }])
    }
    proxy.translate()
    t.match(await fieldsOf(client, 'select 1 / 0'), { severity: 'ERROR' })
  },
)

t.test('a session may begin with the settings of another client', async (t) => {
  const { proxy, connect } = await proxied(t)
  const show = async (client: pg.Client) => (await client.query('show DateStyle')).rows[0]?.DateStyle
  const before = await connect()
  proxy.leak(`set DateStyle = 'SQL, DMY'; set search_path = pg_temp`)
  const leaky = await connect()
  t.equal(await show(leaky), 'SQL, DMY')
  t.same((await leaky.query('show search_path')).rows, [{ search_path: 'pg_temp' }])
  t.equal(await show(before), 'ISO, MDY')
  proxy.leak()
  t.equal(await show(await connect()), 'ISO, MDY')
  t.equal(await show(leaky), 'SQL, DMY', 'it stays in the session')
})

t.test('the link breaks before or after a commit of pending writes', async (t) => {
  const { proxy, url, directUrl, query } = await proxied(t)
  await migrate(directUrl)
  const { log } = recordingLog()
  const clock = { now: () => performance.now(), defer: setImmediate }
  const database = new Database({ url, poolSize: 1, timeoutMs: 5_000, log })
  t.teardown(() => database.close())
  const store = new PostgresStore({
    database,
    attempts: new Attempts({ clock, log, timeoutMs: 5_000 }),
    schema: new SchemaName(database),
  })
  const settle = (key: string) =>
    store.settle(
      [
        {
          key,
          value: JSON.stringify(key),
          base: { kind: 'unseen', mark: undefined },
          epoch: undefined,
          mayHaveHappened: false,
          outcomes: [],
        },
      ],
      () => undefined,
    )
  const isThere = async (key: string) =>
    (await query(`select from cache_entries where key = '${key}'`)).rows.length === 1
  proxy.cutCommits('before', 1)
  await t.rejects(settle('before'), { code: 'outcome-unknown' })
  t.equal(await isThere('before'), false)
  proxy.cutCommits('after', 1)
  await t.rejects(settle('after'), { code: 'outcome-unknown' })
  t.equal(await isThere('after'), true)
  await settle('whole')
  t.equal(await isThere('whole'), true)
  t.equal(proxy.commitsToCut, 0)
  t.equal(proxy.counts.commitsCut, 2)
})

t.test('no other transaction is affected', async (t) => {
  const { proxy, connect } = await proxied(t)
  const client = await connect()
  proxy.cutCommits('before', 1)
  await client.query('begin')
  await client.query('commit')
  t.equal(proxy.commitsToCut, 1)
})
