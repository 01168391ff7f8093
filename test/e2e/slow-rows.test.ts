/** Tests of a statement with several rows, one of which has a trigger that is slow or always fails. */
import t, { type Test } from 'tap'
import { cacheDatabase } from '../support/database.js'
import type { Answer, JsonClient } from '../support/json-client.js'
import { startLiveSidecar } from '../support/sidecar.js'

const keys = Array.from({ length: 40 }, (_, number) => `key ${number}`)

/** A sidecar, and a table whose trigger runs `statement` for the rows of keys that begin with "bad". */
async function sidecarWith(t: Test, statement: string) {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, databaseTimeoutMs: 1_000 })
  for (const key of ['bad', ...keys]) await client.set(key, 1)
  await query('create sequence attempt')
  await query(`create function disturb() returns trigger language plpgsql as $$ begin
    if coalesce(new.key, old.key) ~ '^bad' then ${statement} end if;
    return coalesce(new, old); end $$`)
  await query(
    'create trigger a_disturbance before insert or update or delete on cache_entries for each row execute function disturb()',
  )
  return { client, query }
}

/** The request for "bad" is in the midst of the others: the first one may have a statement for itself. */
async function together(client: JsonClient, act: (client: JsonClient, key: string) => Promise<Answer>) {
  const others = keys.slice(0, 20).map((key) => act(client, key))
  const bad = act(client, 'bad')
  others.push(...keys.slice(20).map((key) => act(client, key)))
  return { bad: await bad, others: await Promise.all(others) }
}

const operations = {
  set: (client: JsonClient, key: string) => client.set(key, 2),
  delete: (client: JsonClient, key: string) => client.delete(key),
}

for (const [operation, act] of Object.entries(operations)) {
  t.test(`${operation}: a row that takes too long fails alone`, async (t) => {
    const { client, query } = await sidecarWith(t, 'perform pg_sleep(10);')
    const { bad, others } = await together(client, act)
    t.match(bad, { status: 503, body: { detail: /did not answer in time/ } })
    t.same(
      others.map(({ status }) => status).filter((status) => status !== 200),
      [],
    )
    const { rows } = await query<{ key: string }>("select key from cache_entries where value = '1'")
    t.same(rows, [{ key: 'bad' }])
  })
}

t.test('if every row takes too long, the search for the one at fault ends early', async (t) => {
  const { client, query } = await sidecarWith(
    t,
    "null; end if; perform nextval('attempt'), pg_sleep(10); if true then",
  )
  const answers = await Promise.all(keys.map((key) => client.set(key, 2)))
  t.same(
    answers.map(({ status }) => status).filter((status) => status !== 503),
    [],
  )
  const { rows } = await query<{ statements: number }>('select last_value::int as statements from attempt')
  t.ok((rows[0]?.statements ?? 0) <= 8, `${rows[0]?.statements} statements`)
})

t.test('a row that never serializes is not sent again with every part of its batch', async (t) => {
  const { client, query } = await sidecarWith(
    t,
    "perform nextval('attempt'); raise exception 'no' using errcode = '40001';",
  )
  const { bad, others } = await together(client, operations.set)
  t.match(bad, { status: 503, body: { detail: /locked/ } })
  t.same(
    others.map(({ status }) => status).filter((status) => status !== 200),
    [],
  )
  const { rows } = await query<{ attempts: number }>('select last_value::int as attempts from attempt')
  t.comment(`${rows[0]?.attempts} attempts`)
})
