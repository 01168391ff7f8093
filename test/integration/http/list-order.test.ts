import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { cacheDatabase, type FreshDatabase, freshDatabase } from '../../support/database.js'
import type { JsonClient } from '../../support/json-client.js'
import { inByteOrder, listed } from '../../support/listed.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Databases by the collation of their keys. In an ICU collation, `a` comes before `B`, and `_` before both. */
const databases: Readonly<Record<string, (t: Test) => Promise<FreshDatabase>>> = {
  'the locale C': cacheDatabase,
  'an ICU locale': (t) =>
    freshDatabase(t, {
      template: 'template0',
      with: "locale_provider icu icu_locale 'en-US' locale 'C'",
    }),
  'a key with an ICU collation': async (t) => {
    const database = await freshDatabase(t)
    await database.query(
      'create table cache_entries (key text collate "en-x-icu" primary key, value text not null)',
    )
    await database.query('alter table cache_entries add updated_at timestamp not null default now()')
    return database
  },
  'an ICU locale, and a varchar key that compares bytes': async (t) => {
    const database = await freshDatabase(t, {
      template: 'template0',
      with: "locale_provider icu icu_locale 'en-US' locale 'C'",
    })
    await database.query(
      'create table cache_entries (key varchar collate "C" primary key, value text not null)',
    )
    await database.query('alter table cache_entries add updated_at timestamp not null default now()')
    return database
  },
}

/** Keys with everything that URLs, JSON, LIKE or a collation could take for something else. */
const odd = [
  ...[
    'a',
    'A',
    'b',
    'B',
    'a b',
    'a-b',
    'a_b',
    'ab',
    'aB',
    'Ab',
    'ä',
    'a\u0308',
    'ß',
    'ss',
    'z',
    'Z',
    'é',
    'e',
  ],
  ...[
    '%',
    '%25',
    '%2525',
    'a%',
    'a%b',
    '_',
    '__',
    '\\',
    '\\%',
    'a\\',
    "'",
    '"',
    '<>; rel="next"',
    '>',
    '+',
    ' ',
    '&',
    '=',
  ],
  ...[
    '\n',
    'a\nb',
    '\r\n',
    '\t',
    '\u0001',
    '\u007f',
    '#',
    '?',
    '/',
    '//',
    '..',
    ':',
    'v1/entries:count',
    '[]',
    '{}',
  ],
  ...[
    '日本',
    '日本語',
    '日',
    '\u{1f600}',
    '\u{1f600}\u{1f601}',
    '\u{10ffff}',
    '\uffff',
    '\ufeff',
    '\u200b',
    '\ud7ff',
  ],
  ...['x'.repeat(1_024), '\u{10ffff}'.repeat(256), '%'.repeat(1_024)],
]

/** Keys of the test with changes: the first 200 are deleted meanwhile, the others stay. */
const first = new Set(Array.from({ length: 10_000 }, (_, index) => `k${md5(String(index + 1))}`))
const goingKeys = [...first].slice(0, 200)
const stayingKeys = [...first].slice(200)

for (const [name, create] of Object.entries(databases)) {
  t.test(`${name}: odd keys are listed in byte order, by every prefix`, async (t) => {
    const { url } = await create(t)
    const { client } = await startLiveSidecar(t, { databaseUrl: url })
    for (const key of odd)
      t.equal((await client.set(key, 'x')).body.db_written, true, JSON.stringify(key.slice(0, 20)))
    for (const limit of [1, 10, 1_000])
      t.strictSame(await keysOf(client, '', limit), inByteOrder(odd), `limit ${limit}`)
    for (const prefix of odd) {
      const wanted = inByteOrder(odd.filter((key) => key.startsWith(prefix)))
      t.strictSame(await keysOf(client, prefix, 2), wanted, JSON.stringify(prefix.slice(0, 20)))
      const { body } = await client.request('GET', `/v1/entries:count?prefix=${encodeURIComponent(prefix)}`)
      t.same(body, { count: wanted.length })
    }
  })
}

t.test('a row that SQL has written under a key that no request can name is not listed', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await query("insert into cache_entries (key, value) values ('', 'x'), (repeat('b', 1025), 'x')")
  for (const key of ['a', 'b', 'c']) await client.set(key, 'x')
  for (const limit of [1, 2, 3, 4]) t.strictSame(await keysOf(client, '', limit), ['a', 'b', 'c'])
  t.same((await client.request('GET', '/v1/entries:count')).body, { count: 3 })
})

for (const name of ['the locale C', 'an ICU locale'])
  t.test(`${name}: every key that is there throughout is listed once, whatever else changes`, async (t) => {
    const { url, query } = await (databases[name] as (t: Test) => Promise<FreshDatabase>)(t)
    const { client } = await startLiveSidecar(t, { databaseUrl: url })
    await query(
      "insert into cache_entries (key, value) select 'k' || md5(n::text), n from generate_series(1, 10000) n",
    )
    let round = 0
    const entries = await listed(client, '?prefix=k&limit=137', async () => {
      round++
      // Keys before and after the page, in any place: some come, some go, and some that stay are written again.
      await query(
        "insert into cache_entries (key, value) select 'k' || md5($1 || n), n from generate_series(1, 50) n",
        [`new ${round} `],
      )
      await query(
        "delete from cache_entries where key in (select 'k' || md5($1 || n) from generate_series(1, 25) n)",
        [`new ${round - 1} `],
      )
      await query('delete from cache_entries where key = any($1)', [
        [goingKeys[round], goingKeys[100 + round]],
      ])
      await query('update cache_entries set value = value || 1 where key = any($1)', [
        stayingKeys.slice(round, round + 20),
      ])
    })
    t.ok(round > 70, `${round} pages`)
    const keys = entries.map(({ key }) => key)
    t.strictSame(keys, inByteOrder(new Set(keys)), 'in order, none twice')
    const seen = new Set(keys)
    t.strictSame(
      stayingKeys.filter((key) => !seen.has(key)),
      [],
      'none is missing',
    )
    t.ok(
      keys.some((key) => !first.has(key)),
      'some of the new ones were listed',
    )
  })

async function keysOf(client: JsonClient, prefix: string, limit: number): Promise<string[]> {
  const entries = await listed(client, `?prefix=${encodeURIComponent(prefix)}&limit=${limit}`)
  return entries.map(({ key }) => key)
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex')
}
