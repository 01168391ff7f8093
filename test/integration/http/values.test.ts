import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const values: Readonly<Record<string, unknown>> = {
  'a string': 'bar',
  'the empty string': '',
  quotes: 'say "hello", \\ and \'bye\'',
  'lines and tabs': 'one\ntwo\r\nthree\tfour\u0001\u001f',
  emoji: '😀 👩‍👩‍👧 é ß 漢字',
  'line separators': 'a\u2028b\u2029c\ufeffd\u007f',
  'what looks like JSON': '{"a":[1,2]}',
  'what looks like a number': '42',
  'what looks like null': 'null',
  'a JSON string as a string': '"quoted"',
  'a million characters': 'x'.repeat(1_000_000),
  'a number': 42,
  zero: 0,
  'a fraction': -12.5e-3,
  'a large number': Number.MAX_SAFE_INTEGER,
  'the largest number': Number.MAX_VALUE,
  true: true,
  false: false,
  'an array': [1, 'two', [3, [null]], {}, ''],
  'an empty array': [],
  'an object': { a: { b: ['c', null, 1.5, false] }, '': '', 'quo"ted': '\u2028' },
  'an empty object': {},
  'a member that objects have anyway': JSON.parse('{"__proto__":1,"constructor":2,"toString":3}'),
}

t.test('every value is read back unchanged', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const a = (await startLiveSidecar(t, { databaseUrl: url })).client
  const b = (await startLiveSidecar(t, { databaseUrl: url })).client
  for (const [name, value] of Object.entries(values)) {
    t.test(name, async (t) => {
      t.match((await a.set(name, value)).body, { ok: true, db_written: true })
      const text = JSON.stringify(value)
      const read = async (client: typeof a, source: string) => {
        const answer = await client.get(name)
        t.equal(answer.status, 200)
        t.match(answer.headers['content-type'], /^application\/json/)
        t.equal(answer.body.source, source)
        t.ok(JSON.stringify(answer.body.value) === text, `the same from ${source}`)
      }
      await read(a, 'cache')
      await read(b, 'db')
      await b.held(name)
      await read(b, 'cache')
    })
  }

  t.test('a string is stored as plain text that others can read', async (t) => {
    const { rows } = await query('select value from cache_entries where key = $1', ['quotes'])
    t.strictSame(rows, [{ value: values.quotes }])
  })
})

t.test('any other value keeps the spelling in which it was sent', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const a = (await startLiveSidecar(t, { databaseUrl: url })).client
  const b = (await startLiveSidecar(t, { databaseUrl: url })).client
  for (const text of [
    '12345678901234567890',
    '-9007199254740993',
    '1.10',
    '1E2',
    '-0',
    '0.1000000000000000055511151231257827',
    '{"b":1,"10":2,"2":{"z":1.0,"a":12345678901234567890}}',
    '{"a":1,"a":2}',
    '[ 1.10,\n\t"\\u00e9" ]',
    '{"\\u0061":"\\/"}',
  ]) {
    const key = `spelt ${text}`
    for (const [raw, type] of [
      [` { "key":${JSON.stringify(key)} , "value": ${text} }`, 'application/json'],
      [`{"value":${text},"key":${JSON.stringify(key)}}`, 'application/json; charset=utf-8'],
    ] as const) {
      t.equal((await a.request('POST', '/cache/set', { raw, headers: { 'Content-Type': type } })).status, 200)
      const wanted = (source: string) => `{"key":${JSON.stringify(key)},"value":${text},"source":"${source}"}`
      await eventually(async () => (await a.get(key)).text === wanted('cache'))
      await eventually(async () => (await b.get(key)).text === wanted('cache'))
      t.equal(
        (await b.request('GET', `/cache/get?key=${encodeURIComponent(key)}&consistency=strong`)).text,
        wanted('db'),
      )
    }
    const { rows } = await query('select value, content_type from cache_entries where key = $1', [key])
    t.same(rows, [{ value: text, content_type: 'application/json' }])
  }
})

t.test('an entry that is JSON stays JSON when plain SQL writes JSON', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await query(
    `insert into cache_entries (key, value, content_type) values ('flags', '{"beta":true}', 'application/json')`,
  )
  t.same(await client.value('flags'), { beta: true })
  await query(`update cache_entries set value = '{"beta":false}' where key = 'flags'`)
  await eventually(async () => JSON.stringify(await client.value('flags')) === '{"beta":false}')
  await query(`update cache_entries set value = 'off' where key = 'flags'`)
  await eventually(async () => (await client.value('flags')) === 'off')
  await client.set('text', '{"a":1}')
  await query(`update cache_entries set value = '{"a":2}' where key = 'text'`)
  await eventually(async () => (await client.value('text')) === '{"a":2}')
})

t.test('unusual keys are stored and read back', async (t) => {
  const { url } = await cacheDatabase(t)
  const a = (await startLiveSidecar(t, { databaseUrl: url })).client
  const b = (await startLiveSidecar(t, { databaseUrl: url })).client
  const keys = [
    'a b+c%20&key=d',
    '"\\\'/?#;',
    '\u0001\n\r\t\u007f',
    '\u2028\ufeff😀',
    "'; drop table cache_entries; --",
    '__proto__',
    'constructor',
    '*',
    '[]',
    '漢'.repeat(300),
    '\u0001'.repeat(512),
    '\u0001'.repeat(1_024),
  ]
  for (const key of keys) {
    t.test(encodeURIComponent(key).slice(0, 40), async (t) => {
      await a.set(key, 1)
      t.strictSame((await a.get(key)).body, { key, value: 1, source: 'cache' })
      t.strictSame((await b.get(key)).body, { key, value: 1, source: 'db' })
      t.equal(await b.held(key), 1)
      await a.set(key, 2)
      await eventually(async () => (await b.value(key)) === 2)
      t.match((await b.delete(key)).body, { cache_removed: true, db_removed: true })
      await eventually(async () => (await a.value(key)) === undefined)
    })
  }
})
