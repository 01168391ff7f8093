/** Tests of a sidecar with bound tables: what its endpoints answer for keys of rows. */

import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { isHit } from '../../support/held-answers.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const database = await cacheDatabase(t)
const { query } = database
await query(`
  create type colour as enum ('red', 'green');
  create table product (
    id int primary key, name text, price numeric(10, 2), colour colour, at timestamptz, on_day date, every interval,
    data jsonb, raw bytea, ratio float8, secret text
  );
  insert into product values
    (42, 'Ansel''s "lamp"', 12.50, 'green', '2026-11-28 12:00+02', '2026-11-28', '1 day 2 hours', '{"a": [1]}', '\\x00ff',
     0.1, 'x'),
    (-7, null, null, null, null, null, null, null, null, null, null);
  insert into product (id, name) select n, 'p' || n from generate_series(1000, 1999) n;
  create table line (tenant uuid, no bigint, day date, code text, n int, primary key (tenant, no, day, code));
  insert into line values ('0189d0a2-0000-7000-8000-0000000000ff', 9223372036854775807, '0044-03-15 BC', 'a:b%c/d é', 1),
    ('0189d0a2-0000-7000-8000-0000000000ff', -1, 'infinity', '', 2);
  create table small (id smallint primary key, v text);
  insert into small values (3, 'three');
  select cache_bind('product', key => 'product:{id}');
  select cache_bind('product', key => 'name-of-product:{id}', columns => array['name', 'id']);
  select cache_bind('line', key => 'line:{tenant}:{no}:{day}:{code}');
  select cache_bind('small', key => 'small:{id}');
  insert into cache_entries (key, value) values ('product:1', 'shadowed'), ('plain', 'entry');
`)
const tenant = '0189d0a2-0000-7000-8000-0000000000ff'
const row = {
  id: 42,
  name: 'Ansel\'s "lamp"',
  price: 12.5,
  colour: 'green',
  at: '2026-11-28T10:00:00+00:00',
  on_day: '2026-11-28',
  every: 'P1DT2H',
  data: { a: [1] },
  raw: '\\x00ff',
  ratio: 0.1,
  secret: 'x',
}

const { client } = await startLiveSidecar(t, { databaseUrl: database.url, ttlSeconds: 0 })

async function bulk(keys: readonly string[], more: object = {}) {
  const { status, body } = await client.request('POST', '/v1/entries:get', { body: { keys, ...more } })
  return { status, ...(body as { entries: { key: string; value: unknown }[]; missing: string[] }) }
}

t.test('a row is answered as JSON, from the table and then from memory', async (t) => {
  const first = await client.get('product:42')
  t.match(first, { status: 200, body: { key: 'product:42', source: 'db' } })
  t.strictSame(first.body.value, row)
  t.match((await client.get('product:42')).body, { value: row, source: 'cache' })
  t.strictSame((await client.get('name-of-product:42')).body.value, { name: row.name, id: 42 })
  t.match(await client.value('product:-7'), { id: -7, name: null })
  t.strictSame(await client.value('small:3'), { id: 3, v: 'three' })
  t.equal(await client.value('plain'), 'entry', 'entries are read as before')
})

t.test('columns may have the names that statements use themselves', async (t) => {
  await query(`
    create type two_numbers as (x int, y int);
    create table named (id int primary key, t two_numbers, r text, q text, answer text, value text, key text, wanted text);
    insert into named values (1, (5, 6), 'r', 'q', 'a', 'v', 'k', 'w');
    select cache_bind('named', key => 'named:{id}');
    select cache_bind('named', key => 'r-of-named:{id}', columns => array['t', 'r']);
    select cache_bind_query('answer:{id}', 'select id, answer, q from named where id = $1', '{"public.named": "{id}"}');
  `)
  const value = (key: string) =>
    eventually(async () => {
      const { status, body } = await client.get(key)
      return status === 200 && body.value
    })
  t.strictSame(await value('named:1'), {
    id: 1,
    t: { x: 5, y: 6 },
    r: 'r',
    q: 'q',
    answer: 'a',
    value: 'v',
    key: 'k',
    wanted: 'w',
  })
  t.strictSame(await value('r-of-named:1'), { t: { x: 5, y: 6 }, r: 'r' })
  t.strictSame(await value('answer:1'), { id: 1, answer: 'a', q: 'q' })
})

t.test('/v1/entries has the row as its body, and a strong ETag of its content', async (t) => {
  const path = `/v1/entries/${encodeURIComponent('product:42')}`
  const { status, headers, text } = await client.request('GET', path)
  t.equal(status, 200)
  t.strictSame(JSON.parse(text), row)
  t.match(headers, { 'content-type': 'application/json', etag: /^"[0-9a-f]{32}-\d+-[0-9A-F]{8}"$/ })
  const etag = String(headers.etag)
  t.equal((await client.request('GET', path, { headers: { 'If-None-Match': etag } })).status, 304)
  t.equal((await client.request('HEAD', path)).headers.etag, etag)
  await query('update product set price = 13 where id = 42')
  await eventually(async () => (await client.request('GET', path)).headers.etag !== etag)
  await query('update product set price = 12.5 where id = 42')
  await eventually(async () => (await client.request('GET', path)).headers.etag === etag)
})

t.test('each row has one key', async (t) => {
  const line = (rest: string) => `line:${tenant}:${rest}`
  t.match(await client.value(line('9223372036854775807:0044-03-15 BC:a%3Ab%25c/d é')), { n: 1 })
  t.match(await client.value(line('-1:infinity:')), { n: 2 })
  for (const other of [
    'product:042',
    'product:+42',
    'product: 42',
    'product:42 ',
    'product:42.0',
    'product:4_2',
    'product:0x2a',
    'product:',
    'product:x',
    'product:-0',
    'product:2147483648',
    'product:99999999999999999999',
    'small:32768',
    'small:03',
    line('9223372036854775808:infinity:'),
    line('-1:Infinity:'),
    line('-1:2026-02-29:'),
    line('-1:0000-01-01:'),
    line('-1:2026-13-01:'),
    line('-1:2026-1-1:'),
    line('-1:infinity:%'),
    line('-1:infinity:%41'),
    line('9223372036854775807:0044-03-15 BC:a%3ab%25c/d é'),
    line('9223372036854775807:0044-03-15 BC:a%3Ab%25c%2Fd é'),
    `line:${tenant.toUpperCase()}:-1:infinity:`,
    `line:{${tenant}}:-1:infinity:`,
    'line:x:-1:infinity:',
  ]) {
    t.equal((await client.get(other)).status, 404, other)
    t.equal((await client.get(other)).status, 404, other)
  }
})

t.test('writes of bound keys are refused, and name the binding', async (t) => {
  const problem = {
    status: 409,
    body: { detail: /product:42\)?: .*bound to rows of tables by product:\{id\}/, type: /#bound-key$/ },
  }
  const path = `/v1/entries/${encodeURIComponent('product:42')}`
  t.match(await client.set('product:42', 1), problem)
  t.match(await client.delete('product:42'), problem)
  t.match(await client.request('PUT', path, { raw: '1' }), problem)
  t.match(await client.request('PUT', path, { raw: '1', headers: { 'If-None-Match': '*' } }), problem)
  t.match(await client.request('DELETE', path), problem)
  const items = [
    { op: 'put', key: 'beside', value: 1 },
    { op: 'put', key: 'product:42', value: 1 },
  ]
  t.match(await client.request('POST', '/v1/entries:batch', { body: { items, atomic: true } }), problem)
  t.equal((await client.get('beside')).status, 404, 'nothing of an atomic batch is written')
  const { body } = await client.request('POST', '/v1/entries:batch', { body: { items } })
  t.match(body, {
    results: [
      { key: 'beside', status: 204 },
      { key: 'product:42', status: 409 },
    ],
  })
  t.same((await query("select key from cache_entries where key = 'product:42'")).rows, [])
})

t.test('many keys are read by one look-up each', async (t) => {
  const scans = async () => {
    const { rows } = await query<{ scans: string }>(
      "select seq_scan::text as scans from pg_stat_user_tables where relname = 'product'",
    )
    return rows[0]?.scans
  }
  // The session that has built the index reports its own scan only now and then.
  await query(
    'do $$ begin perform pg_stat_force_next_flush(); exception when undefined_function then null; end $$',
  )
  const before = await scans()
  const own = await startLiveSidecar(t, { databaseUrl: database.url, databasePoolSize: 3 })
  const keys = Array.from({ length: 1_000 }, (_, index) => `product:${1_000 + index}`)
  const { body } = await own.client.request('POST', '/v1/entries:get', {
    body: { keys: [...keys.slice(0, 500), 'plain', 'small:3', 'product:5', 'none'] },
  })
  const { entries, missing } = body as { entries: { value: { name: string } }[]; missing: string[] }
  t.same([entries.length, entries[0]?.value.name, missing], [502, 'p1000', ['product:5', 'none']])
  await Promise.all(keys.slice(500).map((key) => own.client.get(key)))
  // A backend reports its scans when it ends.
  const pids = (
    await query<{ pid: number }>('select pid from pg_stat_activity where datname = current_database()')
  ).rows
  await own.sidecar.close()
  await eventually(async () => {
    const { rows } = await query<{ left: number }>(
      'select count(*)::int as left from pg_stat_activity where pid = any($1::int[])',
      [pids.map(({ pid }) => pid)],
    )
    return (rows[0]?.left ?? 0) < pids.length - 2
  })
  t.equal(await scans(), before, 'the table is never scanned')
})

t.test('a strong read of several tables is one snapshot', async (t) => {
  await query('create table pair (id int primary key, v int); insert into pair values (1, 0)')
  await query(
    "select cache_bind('pair', key => 'pair:{id}'); insert into cache_entries (key, value) values ('half', '0')",
  )
  await eventually(async () => (await client.get('pair:1')).status === 200)
  let isOver = false
  const writing = (async () => {
    for (let n = 1; n <= 300; n++)
      await query(
        `begin; update pair set v = ${n}; update cache_entries set value = '${n}' where key = 'half'; commit`,
      )
    isOver = true
  })()
  let compared = 0
  while (!isOver) {
    const { entries } = await bulk(['pair:1', 'half'], { consistency: 'strong' })
    const [pair, half] = entries.map(({ value }) => value) as [{ v: number }, string]
    t.equal(String(pair.v), half)
    compared++
  }
  await writing
  t.ok(compared > 5, `${compared} comparisons`)
})

t.test('a strong read asks the table', async (t) => {
  await client.held('product:42')
  t.match((await client.request('GET', '/cache/get?key=product:42&consistency=strong')).body, {
    value: row,
    source: 'db',
  })
})

t.test('absent rows are negative entries, which an INSERT ends', async () => {
  for (const key of ['product:77', 'product:78'])
    await eventually(async () => {
      const answer = await client.get(key)
      return answer.status === 404 && isHit(answer)
    })
  await query("insert into product (id, name) values (77, 'new')")
  await eventually(async () => (await client.get('product:77')).status === 200)
})

t.test('values beyond the memory of one statement are read by further ones', async (t) => {
  await query(
    "insert into product (id, data) select n, to_jsonb(repeat('x', 300000)) from generate_series(5000, 5029) n",
  )
  const { client } = await startLiveSidecar(t, {
    databaseUrl: database.url,
    databaseTimeoutMs: 60_000, // a busy machine takes seconds for so much
    memoryBytes: 48 * 1024 * 1024,
  })
  const keys = Array.from({ length: 30 }, (_, index) => `product:${5_000 + index}`)
  const answers = await Promise.all(keys.map((key) => client.get(key)))
  t.strictSame([...new Set(answers.map(({ status }) => status))], [200])
})

t.test('a sidecar that has not heard of the bindings yet does not answer from the entries', async (t) => {
  const { client } = await startSidecar(t, {
    databaseUrl: database.url,
    databaseListenUrl: 'postgresql://127.0.0.1:1/none',
    databaseTimeoutMs: 60_000, // each request asks for the bindings, in a part of this time
    migrate: false,
  })
  t.strictSame(await client.value('product:1'), undefined)
  t.strictSame(await client.value('product:42'), row)
  t.match(await client.set('product:42', 1), { status: 409 })
  t.match(await client.delete('product:42'), { status: 409 })
  t.match(
    await client.request('PUT', '/v1/entries/product%3A42', { raw: '1', headers: { 'If-None-Match': '*' } }),
    {
      status: 409,
    },
  )
  t.equal(await client.value('plain'), 'entry')
})

t.test('a collation that takes two texts for equal does not make two keys of one row', async (t) => {
  await query(`
    create collation careless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    create table word (code text collate careless primary key, v int);
    insert into word values ('Cafe', 1);
    select cache_bind('word', key => 'word:{code}')`)
  await eventually(async () => (await client.get('word:Cafe')).status === 200)
  t.equal((await client.get('word:cafe')).status, 404)
  await client.held('word:Cafe')
  t.equal((await client.get('word:cafe')).status, 404)
  const { entries, missing } = await bulk(['word:cafe', 'word:Cafe', 'word:CAFE'], { consistency: 'strong' })
  t.same([entries.map(({ key }) => key), missing], [['word:Cafe'], ['word:cafe', 'word:CAFE']])
})

t.test('settings of the session do not change what a row is', async (t) => {
  // Each type in a table of its own, because only the settings are set that the types of a table need.
  const tables = {
    flag: ['boolean', 'true', true],
    amount: ['numeric', "'1234.50'", 1234.5],
    word: ['text[]', "array['a', 'b']", ['a', 'b']],
    day: ['date', "'2026-11-28'", '2026-11-28'],
    moment: ['timestamptz', "'2026-11-28 12:00+02'", '2026-11-28T10:00:00+00:00'],
    local: ['timestamp', "'2026-11-28 12:00'", '2026-11-28T12:00:00'],
    hour: ['time', "'12:00'", '12:00:00'],
    place: ['inet', "'10.0.0.1'", '10.0.0.1'],
    mood: ['feeling', "'glad'", 'glad'],
    every: ['interval', "'1 day 2 hours'", 'P1DT2H'],
    raw: ['bytea', "'\\x00ff'", '\\x00ff'],
    ratio: ['float8', '0.1::float8 / 3', 0.03333333333333333],
    share: ['float4[]', 'array[0.1::float4]', [0.1]],
    days: ['daterange', "'[2026-11-28,2026-12-01)'", '[2026-11-28,2026-12-01)'],
    times: ['tstzrange', "'[2026-11-28 12:00+02,)'", '["2026-11-28 10:00:00+00",)'],
    price: ['money', "'1.50'::numeric", '$1.50'],
  } as const
  await query(
    [
      "create type feeling as enum ('glad')",
      ...Object.entries(tables).map(
        ([name, [type, value]]) => `
          create table odd_${name} (id int primary key, v ${type});
          insert into odd_${name} values (1, ${value});
          select cache_bind('odd_${name}', key => 'odd-${name}:{id}')`,
      ),
    ].join(';\n'),
  )
  const keys = Object.keys(tables).map((name) => `odd-${name}:1`)
  const read = async (from: typeof client) => ({
    each: await Promise.all(keys.map(async (key) => (await from.request('GET', `/v1/entries/${key}`)).text)),
    many: (await from.request('POST', '/v1/entries:get', { body: { keys, consistency: 'strong' } })).text,
  })
  await eventually(async () => (await client.get('odd-price:1')).status === 200)
  const first = await read(client)
  t.same(
    first.each.map((text) => JSON.parse(text)),
    Object.values(tables).map(([, , value]) => ({ id: 1, v: value })),
  )
  for (const setting of [
    "TimeZone = 'Asia/Tokyo'",
    "DateStyle = 'German'",
    "IntervalStyle = 'postgres_verbose'",
    "bytea_output = 'escape'",
    'extra_float_digits = -5',
  ])
    await query(`alter database ${database.name} set ${setting}`)
  const other = await startLiveSidecar(t, { databaseUrl: database.url, migrate: false })
  t.same((await read(other.client)).each, first.each)
  // With the versions, by the statement for several keys.
  t.match(first.many, /"v":"\[2026-11-28,2026-12-01\)"},"source":"\w+","etag"/)
  t.equal((await read(other.client)).many, first.many)
})
