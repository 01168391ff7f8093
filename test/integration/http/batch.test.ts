import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { JsonClient } from '../../support/json-client.js'
import { startLiveSidecar } from '../../support/sidecar.js'

interface Result {
  readonly key: string
  readonly status: number
  readonly etag?: string
}

const batch = (client: JsonClient, body: unknown) => client.request('POST', '/v1/entries:batch', { body })
/** Sends a batch again while it waited too long for the rows of another one, as on a loaded machine. */
async function untilDecided(client: JsonClient, body: unknown) {
  for (;;) {
    const answer = await batch(client, body)
    if (answer.status !== 503) return answer
  }
}
const statusesOf = (body: Readonly<Record<string, unknown>>) =>
  (body.results as Result[]).map(({ status }) => status)
const put = (key: string, value: unknown, more = {}) => ({ op: 'put', key, value, ...more })
const remove = (key: string, more = {}) => ({ op: 'delete', key, ...more })

async function start(t: Test) {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const { client: other } = await startLiveSidecar(t, { databaseUrl: url })
  const stored = async () => {
    const { rows } = await query<{ key: string; value: string }>(
      'select key, value from cache_entries order by key',
    )
    return Object.fromEntries(rows.map(({ key, value }) => [key, value]))
  }
  return { client, other, query, stored, url }
}

for (const atomic of [false, true]) {
  t.test(`writes and deletes in one request, atomic: ${atomic}`, async (t) => {
    const { client, other, query, stored } = await start(t)
    await client.set('gone', 1)
    await client.set('replaced', 1)
    await other.get('gone')
    const { status, body, text } = await batch(client, {
      atomic,
      items: [
        put('new', { n: 1.0 }, { ttl_seconds: 3_600, groups: ['g', 'h'] }),
        put('replaced', 'text'),
        remove('gone'),
        remove('never there'),
        put('expiring', 2, { ttl_seconds: 3_600 }),
        put('grouped', 3, { groups: ['g'] }),
      ],
    })
    t.equal(status, 200, text)
    t.same(statusesOf(body), atomic ? [201, 204, 204, 404, 201, 201] : [204, 204, 204, 404, 204, 204])
    t.ok((body.results as { token: string }[]).every(({ token }) => token.length > 10))
    t.same(await stored(), { expiring: '2', grouped: '3', new: '{"n":1}', replaced: 'text' })
    t.same(
      (await query('select key, groups, expires_at is not null as expires from cache_entries order by key'))
        .rows,
      [
        { key: 'expiring', groups: null, expires: true },
        { key: 'grouped', groups: ['g'], expires: false },
        { key: 'new', groups: ['g', 'h'], expires: true },
        { key: 'replaced', groups: null, expires: false },
      ],
    )
    t.match(await client.get('replaced'), { body: { value: 'text', source: 'cache' } })
    t.match(await client.get('gone'), { status: 404 })
    await eventually(async () => (await other.get('gone')).status === 404)
  })

  t.test(`conditions per item, atomic: ${atomic}`, async (t) => {
    const { client, stored } = await start(t)
    await client.set('a', 1)
    await client.set('b', 1)
    const read = await client.request('POST', '/v1/entries:get', { body: { keys: ['a', 'b'] } })
    const [a, b] = (read.body.entries as Result[]).map(({ etag }) => etag as string)
    const items = [
      put('a', 2, { if_match: a }),
      put('b', 2, { if_match: [a, b] }),
      put('c', 2, { if_none_match: '*' }),
      remove('d', { if_none_match: '*' }),
    ]
    const first = await batch(client, { atomic, items })
    t.same(statusesOf(first.body), [204, 204, 201, 404])
    t.same(await stored(), { a: '2', b: '2', c: '2' })
    const [again] = first.body.results as Result[]
    t.equal(again?.etag, (await client.request('GET', '/v1/entries/a')).headers.etag)

    const second = await batch(client, {
      atomic,
      items: [put('e', 2), ...items, put('a2', 1, { if_match: '*' })],
    })
    if (atomic) {
      t.match(second, {
        status: 412,
        body: {
          detail:
            'items[1] (a), items[2] (b), items[3] (c) and 1 more: the entry is not as if_match or if_none_match requires',
        },
      })
      t.same(await stored(), { a: '2', b: '2', c: '2' }, 'nothing has happened')
    } else {
      t.same(statusesOf(second.body), [204, 412, 412, 412, 404, 412])
      t.same(await stored(), { a: '2', b: '2', c: '2', e: '2' })
    }
  })

  t.test(`a row that the database refuses is named, atomic: ${atomic}`, async (t) => {
    const { client, query, stored } = await start(t)
    await query("alter table cache_entries add constraint small check (value <> '13')")
    const items = Array.from({ length: 20 }, (_, index) => put(`k${index}`, index))
    const { status, body } = await batch(client, { atomic, items })
    if (atomic) {
      t.equal(status, 422)
      t.equal(body.detail, 'items[13] (k13): The database refused the value')
      t.same(await stored(), {})
    } else {
      t.same(
        statusesOf(body),
        items.map(({ value }) => (value === 13 ? 422 : 204)),
      )
      t.equal(Object.keys(await stored()).length, 19)
    }
  })
}

t.test('an atomic batch is never half seen by a strong read of several keys', async (t) => {
  const { client, other } = await start(t)
  const keys = Array.from({ length: 20 }, (_, index) => `k${index}`)
  const write = (value: number) => batch(client, { atomic: true, items: keys.map((key) => put(key, value)) })
  await write(0)
  let isWriting = true
  const writing = (async () => {
    for (let value = 1; value <= 40; value++) await write(value)
    isWriting = false
  })()
  const halves: unknown[] = []
  let reads = 0
  while (isWriting) {
    const { body } = await other.request('POST', '/v1/entries:get', { body: { keys, consistency: 'strong' } })
    const values = new Set((body.entries as { value: number }[]).map(({ value }) => value))
    if (values.size !== 1) halves.push([...values])
    reads++
  }
  await writing
  t.same(halves, [])
  t.ok(reads > 5, `${reads} reads`)
})

t.test('two atomic batches that create the same entries: one of them does', async (t) => {
  const { client, other, stored } = await start(t)
  for (let round = 0; round < 20; round++) {
    const items = (value: number) =>
      ['x', 'y', 'z'].map((key) => put(`${round} ${key}`, value, { if_none_match: '*' }))
    const answers = await Promise.all([
      untilDecided(client, { atomic: true, items: items(1) }),
      untilDecided(other, { atomic: true, items: items(2).reverse() }),
    ])
    const texts = answers.map(({ text }) => text)
    t.same(answers.map(({ status }) => status).sort(), [200, 412], texts.join())
  }
  const values = Object.entries(await stored())
  t.equal(values.length, 60)
  for (let round = 0; round < 20; round++)
    t.equal(new Set(values.filter(([key]) => key.startsWith(`${round} `)).map(([, value]) => value)).size, 1)
})

t.test('invalid batches are refused, with the index of the item', async (t) => {
  const { client, stored } = await start(t)
  const many = Array.from({ length: 1_001 }, (_, index) => put(`${index}`, 1))
  const refused: [body: unknown, detail: RegExp][] = [
    [{}, /^items: missing$/],
    [{ items: {} }, /^items: must be an array of objects$/],
    [{ items: many }, /^items: more than 1000$/],
    [{ items: [], atomic: 1 }, /^atomic: must be true or false$/],
    [{ item: [] }, /^item: unknown member; did you mean items\?$/],
    [{ items: [1] }, /^items\[0\]: must be an object$/],
    [{ items: [put('a', 1), { key: 'b' }] }, /^items\[1\]\.op: must be put or delete$/],
    [{ items: [put('', 1)] }, /^items\[0\]\.key: must not be empty$/],
    [{ items: [{ op: 'put', key: 'a' }] }, /^items\[0\]\.value: missing$/],
    [{ items: [put('a', null)] }, /^items\[0\]\.value: must not be null$/],
    [
      { items: [put('a', 1, { ttl: 1 })] },
      /^items\[0\]\.ttl: unknown member; a put has op, key, value, ttl_seconds/,
    ],
    [
      { items: [put('a', 1, { if_matches: '*' })] },
      /^items\[0\]\.if_matches: unknown member; did you mean if_match\?$/,
    ],
    [
      { items: [remove('a', { value: 1 })] },
      /^items\[0\]\.value: unknown member; a delete has op, key, if_match and/,
    ],
    [{ items: [put('a', 1, { ttl_seconds: 0 })] }, /^items\[0\]\.ttl_seconds: must be a number/],
    [{ items: [put('a', 1, { groups: [7] })] }, /^items\[0\]\.groups\[0\]: must be a string$/],
    [{ items: [put('a', 1, { if_match: 'tag' })] }, /^items\[0\]\.if_match: must be \*, an entity tag/],
    [{ items: [put('a', 1, { if_match: [] })] }, /^items\[0\]\.if_match: must be \*, an entity tag/],
    [{ items: [put('a', 1), remove('a')] }, /^items\[1\]\.key: the same as that of items\[0\]$/],
  ]
  for (const [body, detail] of refused) {
    const answer = await batch(client, body)
    t.equal(answer.status, 422)
    t.match(answer.body.detail, detail)
  }
  const twice = await client.request('POST', '/v1/entries:batch', {
    raw: '{"items":[{"op":"put","key":"a","value":1,"value":2}]}',
  })
  t.match(twice, { status: 422, body: { detail: 'items[0].value: given more than once' } })
  t.same(await stored(), {})
  t.match(await batch(client, { items: [] }), { status: 200, body: { results: { length: 0 } } })
  t.match(await batch(client, { items: [], atomic: true }), { status: 200, body: { results: { length: 0 } } })
})

t.test('numbers keep their digits, and text its characters', async (t) => {
  const { client, stored } = await start(t)
  for (const atomic of [false, true]) {
    await client.request('POST', '/v1/entries:batch', {
      raw: `{"atomic":${atomic},"items":[{"op":"put","key":"n","value": 12345678901234567890.10 },{"value":"\\u00e9\\n","op":"put","key":"s"}]}`,
    })
    t.same(await stored(), { n: '12345678901234567890.10', s: 'é\n' })
    await client.request('POST', '/v1/invalidate', { body: { all: true } })
  }
})

t.test('a delete revokes the lease of its key', async (t) => {
  const { client, stored } = await start(t)
  for (const atomic of [false, true]) {
    const { headers } = await client.request('GET', '/v1/entries/k', { headers: { Prefer: 'fill-lease=30' } })
    const lease = String(headers['fill-lease'])
    t.same(statusesOf((await batch(client, { atomic, items: [remove('k')] })).body), [404])
    const late = await client.request('PUT', '/v1/entries/k', { raw: '1', headers: { 'Fill-Lease': lease } })
    t.equal(late.status, 412, `atomic: ${atomic}`)
  }
  t.same(await stored(), {})
})

t.test(
  'a write that a trigger leaves out or renames is refused, and so is all of an atomic batch',
  async (t) => {
    const { client, query, stored } = await start(t)
    await query(`
    create function picky() returns trigger language plpgsql as $$
    begin
      if old.key like 'skipped%' then return null; end if;
      if tg_op = 'DELETE' then return old; end if;
      if old.key like 'renamed%' then new.key := new.key || '!'; end if;
      return new;
    end $$;
    create trigger picky before update or delete on cache_entries for each row execute function picky()`)
    for (const key of ['skipped', 'renamed', 'skipped too'])
      await query('insert into cache_entries (key, value) values ($1, 1)', [key])
    const before = await stored()
    for (const item of [
      put('skipped', 2),
      put('skipped', 2, { if_match: '*' }),
      put('renamed', 2),
      remove('skipped too'),
    ]) {
      const answer = await batch(client, { atomic: true, items: [put('other', 1), item] })
      t.match(answer, {
        status: 422,
        body: { detail: /^items\[1\] \(.*\): The database did not store or delete the entry/ },
      })
      t.same(await stored(), before, 'nothing has happened')
    }
    // An entry that is missing is told from one that a trigger protects, in memory or not.
    await client.get('skipped')
    const { body } = await batch(client, {
      items: [remove('skipped'), remove('never there'), remove('renamed')],
    })
    t.match(body.results, [
      { status: 422, detail: /^The database did not store or delete the entry/ },
      { status: 404 },
      { status: 204 },
    ])
    t.match(await client.delete('skipped too'), { status: 422, body: { type: /#not-stored$/ } })
    t.match(await client.delete('never there'), { status: 200, body: { db_removed: false } })
    t.match(await client.get('skipped'), { status: 200 }, 'it is still there')
    await query(
      "insert into cache_entries (key, value, expires_at) values ('skipped as well', 1, now() - interval '1 s')",
    )
    t.match(
      await client.delete('skipped as well'),
      { status: 200, body: { db_removed: false } },
      'it had expired',
    )
  },
)

t.test('an atomic batch names the item that a constraint refuses when the transaction commits', async (t) => {
  const { client, query, stored } = await start(t)
  await query(`
    create function checked_late() returns trigger language plpgsql as $$
    begin
      if new.value = 'bad' then raise check_violation using message = 'no bad values'; end if;
      return null;
    end $$;
    create constraint trigger checked_late after insert or update on cache_entries
      deferrable initially deferred for each row execute function checked_late()`)
  const items = ['a', 'b', 'bad', 'c', 'd'].map((value) => put(`k${value}`, value))
  t.match(await batch(client, { atomic: true, items }), {
    status: 422,
    body: { type: /#refused$/, detail: /^items\[2\] \(kbad\): / },
  })
  t.same(await stored(), {})
  t.same(statusesOf((await batch(client, { items })).body), [204, 204, 422, 204, 204])
})

t.test('with CACHE_REQUIRE_CONDITIONS, each item needs a condition', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, requiresConditions: true })
  const items = [
    put('a', 1, { if_none_match: '*' }),
    put('b', 1),
    remove('c'),
    remove('d', { if_match: '*' }),
  ]
  const detail = 'if_match or if_none_match: required, because CACHE_REQUIRE_CONDITIONS is on'
  t.match(await batch(client, { atomic: true, items }), {
    status: 428,
    body: { type: /#condition-required$/, detail: `items[1] (b), items[2] (c): ${detail}` },
  })
  t.same((await query('select from cache_entries')).rows, [])
  t.match((await batch(client, { items })).body.results, [
    { status: 201 },
    { status: 428, detail },
    { status: 428, detail },
    { status: 412 },
  ])
})

t.test('a locked row is waited for, like in other writes', async (t) => {
  const { client, query, url } = await start(t)
  await client.set('locked', 1)
  for (const send of [
    () => batch(client, { atomic: true, items: [put('locked', 2)] }),
    () => client.request('POST', '/v1/invalidate', { body: { keys: ['locked'] } }),
  ]) {
    const other = new pg.Client({ connectionString: url })
    await other.connect()
    await other.query("begin; select from cache_entries where key = 'locked' for update")
    const sent = send()
    await eventually(async () => {
      const { rows } = await query(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      )
      return rows.length > 0
    })
    // Longer than other statements wait for a lock before they are split.
    await sleep(400)
    await other.query('commit')
    t.equal((await sent).status, 200)
    await other.end()
  }
})

t.test('a value is as large as one of a set at most', async (t) => {
  const { client, stored } = await start(t)
  const large = 'x'.repeat(1024 * 1024)
  for (const atomic of [false, true])
    t.match(await batch(client, { atomic, items: [put('a', 1), put('b', large)] }), {
      status: 413,
      body: { detail: 'items[1].value: larger than 1048576 bytes' },
    })
  t.same(await stored(), {})
})
