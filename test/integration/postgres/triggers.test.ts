import pg from 'pg'
import t, { type Test } from 'tap'
import type { Version } from '../../../src/core/entry.js'
import { keyId } from '../../../src/core/state/key-id.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { Announcements } from '../../support/announcements.js'
import { copyIn } from '../../support/copy-in.js'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { guestOf } from '../../support/guest.js'

const database = await freshDatabase(t)
const { url, query } = database
await migrate(url)
const announced = await Announcements.of(t, database)

/** Returns the keys with their versions in the table. */
async function versions(): Promise<Map<string, Version>> {
  const { rows } = await query<{ key: string; version: Version }>('select key, version from cache_entries')
  return new Map(rows.map(({ key, version }) => [key, version]))
}

/** Checks that exactly these keys were announced, each with the present version of its row. */
async function announces(t: Test, keys: readonly string[]): Promise<void> {
  const now = await versions()
  const changes = await announced.changes()
  t.strictSame(
    changes.map((change) => (change.kind === 'key' ? [change.id, change.version] : '*')).sort(),
    keys.map((key) => [keyId(key), now.get(key)]).sort(),
  )
}

async function empty(): Promise<void> {
  await query('delete from cache_entries')
  await announced.payloads()
}

t.test('a session that has called setseed() does not repeat versions', async (t) => {
  const session = new pg.Client({ connectionString: url })
  await session.connect()
  t.teardown(() => session.end())
  const drawn: bigint[] = []
  for (let count = 0; count < 3; count++) {
    await session.query('select setseed(0.5)')
    const { rows } = await session.query<{ version: string }>(
      `insert into cache_entries (key, value) values ('seeded', 'x')
       on conflict (key) do update set value = excluded.value returning version`,
    )
    drawn.push(BigInt(rows[0]?.version ?? 0) & 0xffffffn)
  }
  t.ok(new Set(drawn).size > 1, drawn.join())
  await empty()
})

t.test('INSERT, of one row and of many', async (t) => {
  await query("insert into cache_entries (key, value) values ('a', '1')")
  await announces(t, ['a'])
  await query("insert into cache_entries (key, value) values ('b', '1'), ('c', '1'), ('d', '1')")
  await announces(t, ['b', 'c', 'd'])
  await query("insert into cache_entries (key, value) values ('a', '2'), ('e', '1') on conflict do nothing")
  await announces(t, ['e'])
  await query("insert into cache_entries (key, value) select 'nothing', '' where false")
  t.same(await announced.payloads(), [])
})

t.test('INSERT with ON CONFLICT DO UPDATE', async (t) => {
  await empty()
  await query("insert into cache_entries (key, value) values ('a', '1')")
  await announced.payloads()
  await query(
    `insert into cache_entries (key, value) values ('a', '2'), ('f', '1')
     on conflict (key) do update set value = excluded.value, updated_at = now()`,
  )
  await announces(t, ['a', 'f'])
})

t.test('UPDATE', async (t) => {
  await empty()
  await query("insert into cache_entries (key, value) values ('a', '1'), ('b', '1'), ('c', '1')")
  await announced.payloads()
  const before = await versions()
  await query("update cache_entries set value = '2' where key <> 'c'")
  await announces(t, ['a', 'b'])
  const after = await versions()
  t.not(after.get('a'), before.get('a'))
  t.not(after.get('a'), after.get('b'), 'each row has a version of its own')
  t.equal(after.get('c'), before.get('c'))
  await query('update cache_entries set version = 1')
  await announces(t, ['a', 'b', 'c'])
  t.ok(BigInt((await versions()).get('a') ?? 0) > BigInt(after.get('a') ?? 0), 'a given version is ignored')
})

t.test('DELETE carries a version that no row ever had', async (t) => {
  await empty()
  await query("insert into cache_entries (key, value) values ('a', '1'), ('b', '1')")
  await announced.payloads()
  const used = new Set((await versions()).values())
  await query('delete from cache_entries')
  const changes = await announced.changes()
  t.strictSame(changes.map((change) => change.kind === 'key' && change.id).sort(), ['a', 'b'])
  for (const change of changes) if (change.kind === 'key') t.notOk(used.has(change.version))
  await query("insert into cache_entries (key, value) values ('a', '1')")
  for (const change of changes) {
    if (change.kind === 'key') t.not((await versions()).get('a'), change.version)
  }
})

t.test('a renamed key announces both names', async (t) => {
  await empty()
  await query("insert into cache_entries (key, value) values ('old', '1'), ('stays', '1')")
  await announced.payloads()
  await query("update cache_entries set key = 'new' where key = 'old'")
  t.strictSame(await announced.ids(), ['new', 'old'])
  await query("update cache_entries set key = case key when 'new' then 'newer' else key end")
  t.strictSame(await announced.ids(), ['new', 'newer', 'stays'])
})

t.test('MERGE', async (t) => {
  await empty()
  await query("insert into cache_entries (key, value) values ('a', '1'), ('b', '1')")
  await announced.payloads()
  await query(
    `merge into cache_entries as entry using (values ('a', '2'), ('b', null), ('c', '3')) as new (key, value)
     on entry.key = new.key
     when matched and new.value is null then delete
     when matched then update set value = new.value
     when not matched then insert (key, value) values (new.key, new.value)`,
  )
  t.strictSame(await announced.ids(), ['a', 'b', 'c'])
})

t.test('COPY', async (t) => {
  await empty()
  await copyIn(url, 'copy cache_entries (key, value) from stdin', 'a\t1\nb\t2\n')
  await announces(t, ['a', 'b'])
})

t.test('TRUNCATE', async (t) => {
  await query('truncate cache_entries')
  t.strictSame(await announced.payloads(), ['*'])
})

t.test('what is rolled back is not announced', async (t) => {
  await query(
    "begin; insert into cache_entries (key, value) values ('a', '1'); truncate cache_entries; rollback",
  )
  await query(
    `begin; savepoint one; insert into cache_entries (key, value) values ('b', '1'); rollback to one;
     insert into cache_entries (key, value) values ('c', '1'); commit`,
  )
  await announces(t, ['c'])
})

t.test('up to 10,000 keys are named; more are announced as everything', async (t) => {
  await empty()
  await query(
    "insert into cache_entries (key, value) select 'k' || n, '' from generate_series(1, 10000) as n",
  )
  const payloads = await announced.payloads()
  t.notOk(payloads.includes('*'))
  t.ok(payloads.length < 10_000 / 100, `many keys in one notification: ${payloads.length} of them`)
  t.equal(payloads.flatMap((payload) => JSON.parse(payload) as string[]).length, 20_000)
  await query("update cache_entries set value = '1'")
  const updated = await announced.changes()
  const now = await versions()
  t.equal(updated.length, 10_000)
  t.same(
    updated.filter((change) => change.kind !== 'key' || now.get(change.id) !== change.version),
    [],
  )
  await query("insert into cache_entries (key, value) values ('one more', '')")
  await announced.payloads()
  await query("update cache_entries set value = '2'")
  t.strictSame(await announced.payloads(), ['*'])
  await query('delete from cache_entries')
  t.strictSame(await announced.payloads(), ['*'])
  await query(
    "insert into cache_entries (key, value) select 'k' || n, '' from generate_series(1, 10001) as n",
  )
  t.strictSame(await announced.payloads(), ['*'])
  await query('truncate cache_entries')
  await announced.payloads()
})

t.test('payloads of unusual keys stay below 8,000 bytes and have the ids of the sidecar', async (t) => {
  await empty()
  const pad = (unit: string, bytes: number) => {
    const text = unit.repeat(Math.floor(bytes / Buffer.byteLength(unit)))
    return text + 'x'.repeat(bytes - Buffer.byteLength(text))
  }
  const units = ['x', '"', '\\', '\u0001', '\n', '\u007f', '\u2028', 'é', '漢', '😀', "'", '/', '{']
  const lengths = [1, 4, 127, 128, 129, 130, 170, 171, 500, 511, 512, 513, 514, 1_024, 2_000]
  const keys = units.flatMap((unit) => lengths.map((length) => pad(unit, length)))
  const all = [...new Set([...keys, '', '*', 'null', '[]'])]
  await query("insert into cache_entries (key, value) select key, '' from unnest($1::text[]) as key", [all])
  const payloads = await announced.payloads()
  for (const payload of payloads) t.ok(Buffer.byteLength(payload) < 8_000)
  const ids = payloads
    .flatMap((payload) => JSON.parse(payload) as string[])
    .filter((_, index) => index % 2 === 0)
  t.strictSame(ids.sort(), all.map(keyId).sort())
  for (const key of all) t.equal(keyId(key) === key, Buffer.byteLength(key) <= 512)

  await empty()
  const worst = Array.from({ length: 400 }, (_, n) => pad('\u0001', 508) + String(n).padStart(4, '0'))
  await query("insert into cache_entries (key, value) select key, '' from unnest($1::text[]) as key", [worst])
  const pages = await announced.payloads()
  for (const payload of pages) t.ok(Buffer.byteLength(payload) < 8_000)
  // A page is longest where a long change crosses its beginning and short ones fill it up to its end.
  await query('truncate cache_entries')
  await announced.payloads()
  let bytes = 0
  for (let round = 0; round < 40; round++) {
    const mixed = Array.from({ length: 300 }, (_, n) =>
      (n * 7 + round) % 29 === 0
        ? pad('\u0001', 505) + `${round} ${n}`.padStart(7)
        : `${round} ${n}`.padStart(8 + round),
    )
    await query("insert into cache_entries (key, value) select key, '' from unnest($1::text[]) as key", [
      mixed,
    ])
    for (const payload of await announced.payloads()) {
      bytes = Math.max(bytes, Buffer.byteLength(payload))
      if (bytes >= 8_000) t.fail(`a payload of ${bytes} bytes`)
    }
  }
  t.ok(bytes > 7_000, `the longest has ${bytes} bytes`)
  await query("update cache_entries set key = key || 'x'")
  for (const payload of await announced.payloads()) t.ok(Buffer.byteLength(payload) < 8_000)
  await query('truncate cache_entries')
  await announced.payloads()
})

t.test('every trigger is ENABLE ALWAYS, except the one for the replica role', async (t) => {
  const { rows } = await query<{ tgname: string; tgenabled: string }>(
    `select tgname, tgenabled from pg_trigger
     where tgrelid = 'cache_entries'::regclass and not tgisinternal order by tgname`,
  )
  t.ok(rows.length >= 7)
  for (const { tgname, tgenabled } of rows) t.equal(tgenabled, /replicated/.test(tgname) ? 'R' : 'A', tgname)
})

t.test('a session in the replica role', async (t) => {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  await client.query('set session_replication_role = replica')
  const ids = async () => [...new Set(await announced.ids())]
  await client.query("insert into cache_entries (key, value) values ('a', '1')")
  t.strictSame(await ids(), ['a'])
  t.not((await versions()).get('a'), '0', 'it is stamped')
  await client.query("update cache_entries set value = '2'")
  t.strictSame(await ids(), ['a'])
  await client.query("update cache_entries set key = 'b'")
  t.strictSame(await ids(), ['a', 'b'])
  await client.query('delete from cache_entries')
  t.strictSame(await ids(), ['b'])
  await client.query('truncate cache_entries')
  t.strictSame(await announced.payloads(), ['*'])
})

t.test('writers need no search path and no rights except on the table', async (t) => {
  const guest = await guestOf(t, await freshDatabase(t))
  await query(`grant usage on schema public to ${guest.name}`)
  await query(`grant select, insert, update, delete, truncate on cache_entries to ${guest.name}`)
  await query(`grant temporary on database ${database.name} to ${guest.name}`)
  t.teardown(() => query(`drop owned by ${guest.name}`))
  const own = Object.assign(new URL(guest.url), { pathname: `/${database.name}` }).href
  const client = new pg.Client({ connectionString: own })
  client.on('error', () => {})
  await client.connect()
  t.teardown(() => client.end())
  await client.query("set search_path = ''")
  await t.rejects(client.query("select setval('public.cache_version', 1)"), /permission denied/)
  await client.query("insert into public.cache_entries (key, value) values ('a', '1')")
  await announces(t, ['a'])
  await client.query("update public.cache_entries set value = '2', content_type = 'text/plain'")
  await announces(t, ['a'])
  await client.query("update public.cache_entries set key = 'b'")
  t.strictSame(await announced.ids(), ['a', 'b'])
  // Objects that the functions would find first with their caller's search path.
  await client.query('create temporary sequence cache_version start 1000000000')
  await client.query('create temporary table changed (key text, version bigint)')
  await client.query("set search_path = pg_temp, public; update cache_entries set value = '3'")
  await announces(t, ['b'])
  t.ok(BigInt((await versions()).get('b') ?? 0) >> 24n < 1_000_000_000n, 'the temporary sequence is not used')
  await client.query('delete from public.cache_entries')
  t.strictSame(await announced.ids(), ['b'])
  await client.query('truncate public.cache_entries')
  t.strictSame(await announced.payloads(), ['*'])
})

t.test('content types', async (t) => {
  await empty()
  const type = async () => (await query("select content_type from cache_entries where key = 'a'")).rows[0]
  const json = { content_type: 'application/json' }
  const text = { content_type: null }
  await query("insert into cache_entries (key, value, content_type) values ('a', '{}', 'application/json')")
  t.strictSame(await type(), json)
  await query("update cache_entries set updated_at = now() where key = 'a'")
  t.strictSame(await type(), json, 'kept by who does not touch the value')
  await query("update cache_entries set value = '[]', content_type = 'application/json' where key = 'a'")
  t.strictSame(await type(), json, 'kept by who names it')
  await query("update cache_entries set value = '[1]', content_type = content_type where key = 'a'")
  t.strictSame(await type(), json, 'kept by who names it')
  for (const value of ['{"beta":false}', '42', ' [1.10] ', '"quoted"', 'true']) {
    await query("update cache_entries set value = $1 where key = 'a'", [value])
    t.strictSame(await type(), json, `kept by who writes JSON and does not know of it: ${value}`)
  }
  for (const value of ['text', '', 'null', '{"beta":', `${'['.repeat(100_000)}`]) {
    await query("update cache_entries set value = '{}', content_type = 'application/json' where key = 'a'")
    await query("update cache_entries set value = $1 where key = 'a'", [value])
    t.strictSame(await type(), text, `reset by who writes anything else: ${value.slice(0, 20)}`)
    await query("update cache_entries set value = '{}' where key = 'a'")
    t.strictSame(await type(), text, 'a string stays one')
  }
  await query("update cache_entries set content_type = 'text/html' where key = 'a'")
  await query("update cache_entries set value = '1' where key = 'a'")
  t.strictSame(await type(), text, 'a type that is not ours says nothing of another value')
  await query("update cache_entries set content_type = 'application/json' where key = 'a'")
  t.strictSame(await type(), json)
  await query(
    `insert into cache_entries (key, value) values ('a', 'by the original')
     on conflict (key) do update set value = excluded.value, updated_at = now()`,
  )
  t.strictSame(await type(), text, "reset by the original's statement")
})

t.test('P1: the version of the proposed row is not the version of the row', async (t) => {
  await empty()
  await query("insert into cache_entries (key, value) values ('a', '0')")
  await announced.payloads()
  const holder = new pg.Client({ connectionString: url })
  await holder.connect()
  t.teardown(() => holder.end())
  await holder.query("begin; select from cache_entries where key = 'a' for update")
  const upsert = query<{ version: Version; proposed: Version }>(
    `insert into cache_entries (key, value) values ('a', '1')
     on conflict (key) do update set value = excluded.value returning version`,
  )
  await eventually(async () => {
    const { rows } = await holder.query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    )
    return rows.length > 0
  })
  const held = await holder.query<{ version: Version }>(
    "update cache_entries set value = '2' where key = 'a' returning version",
  )
  await holder.query('commit')
  const { rows } = await upsert
  const final = (await versions()).get('a')
  t.equal(rows[0]?.version, final, 'RETURNING has the final version')
  t.ok(BigInt(final ?? 0) > BigInt(held.rows[0]?.version ?? 0), 'which did not go backwards')
  const changes = await announced.changes()
  t.strictSame(
    changes.map((change) => change.kind === 'key' && change.version),
    [held.rows[0]?.version, final],
    'and which is announced last',
  )
})

t.test('a delete against an insert of the same key', async (t) => {
  await empty()
  const writers = Array.from({ length: 4 }, async (_, writer) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    for (let round = 0; round < 100; round++) {
      await (writer % 2 === 0
        ? client.query("insert into cache_entries (key, value) values ('a', $1) on conflict do nothing", [
            round,
          ])
        : client.query("delete from cache_entries where key = 'a'"))
    }
    await client.end()
  })
  await Promise.all(writers)
  const rows = await versions()
  const changes = await announced.changes()
  const announcedVersions = changes.map((change) => change.kind === 'key' && change.version)
  t.equal(new Set(announcedVersions).size, changes.length, 'no two changes have the same version')
  if (rows.has('a')) t.equal(announcedVersions.at(-1), rows.get('a'), 'the last change is the row')
  await query("delete from cache_entries where key = 'a'")
})

t.test('two equally named tables in two schemas', async (t) => {
  const other = await freshDatabase(t)
  await other.query('create schema one; create schema two')
  const at = (schema: string) => {
    const url = new URL(other.url)
    url.searchParams.set('options', `-csearch_path=${schema}`)
    return url.href
  }
  await Promise.all([migrate(at('one')), migrate(at('two'))])
  const { rows } = await other.query<{ one: string; two: string }>(
    `select one.cache_channel('one', 'cache_entries') as one, two.cache_channel('two', 'cache_entries') as two`,
  )
  const { one = '', two = '' } = rows[0] ?? {}
  t.not(one, two)
  t.ok(Buffer.byteLength(one) <= 63)
  const heard = await Announcements.of(t, other, one)
  await other.query("insert into one.cache_entries (key, value) values ('in one', '')")
  await other.query("insert into two.cache_entries (key, value) values ('in two', '')")
  t.strictSame(await heard.ids(), ['in one'])
})
