import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const { url, query } = await cacheDatabase(t)
const [a, b] = await Promise.all([
  startLiveSidecar(t, { databaseUrl: url }),
  startLiveSidecar(t, { databaseUrl: url }),
])
const set = (body: object) => a.client.request('POST', '/cache/set', { body })

/** Checks that a body has a remaining time to live of up to so many seconds, and not much less. */
function expiresIn(t: Test, body: Readonly<Record<string, unknown>> | undefined, seconds: number): void {
  const given = body?.expires_in_seconds
  t.ok(typeof given === 'number' && given > seconds - 60 && given <= seconds, `${given} of ${seconds} s`)
}

t.test('a set with ttl_seconds expires, at every sidecar', async (t) => {
  const { status, body } = await set({ key: 'k', value: 'v', ttl_seconds: 1.5 })
  t.equal(status, 200)
  t.match(body, { ok: true, db_written: true, token: String })
  expiresIn(t, body, 1.5)
  for (const [{ client }, source] of [
    [a, 'cache'],
    [b, 'db'],
  ] as const) {
    const read = (await client.get('k')).body
    t.match(read, { value: 'v', source })
    expiresIn(t, read, 1.5)
  }
  for (const { client } of [a, b]) await eventually(async () => (await client.get('k')).status === 404)
  const { rows } = await query(
    "select expires_at <= clock_timestamp() as is_over from cache_entries where key = 'k'",
  )
  t.same(rows, [{ is_over: true }], 'not before its time')
})

t.test('the remaining time comes with reads of every kind', async (t) => {
  await set({ key: 'hour', value: { a: 1 }, ttl_seconds: 3_600 })
  await set({ key: 'day "quoted" é', value: 1, ttl_seconds: 86_400 })
  await set({ key: 'never', value: 1 })
  const keys = ['hour', 'day "quoted" é', 'never']
  for (const headers of [{}, { 'Cache-Control': 'no-cache' }]) {
    const path = (key: string) => `/cache/get?key=${encodeURIComponent(key)}`
    const reads = await Promise.all(keys.map((key) => a.client.request('GET', path(key), { headers })))
    const [hour, day, never] = reads.map(({ body }) => body)
    t.match(hour, { value: { a: 1 } })
    expiresIn(t, hour, 3_600)
    expiresIn(t, day, 86_400)
    t.notOk('expires_in_seconds' in (never ?? {}))
    const many = await a.client.request('POST', '/v1/entries:get', { body: { keys }, headers })
    const entries = many.body.entries as readonly Record<string, unknown>[]
    expiresIn(t, entries[0], 3_600)
    expiresIn(t, entries[1], 86_400)
    t.notOk('expires_in_seconds' in (entries[2] ?? {}))
  }
  const list = await a.client.request('GET', '/v1/entries?prefix=hour')
  expiresIn(t, (list.body.entries as Record<string, unknown>[])[0], 3_600)
})

t.test('a set without ttl_seconds ends an earlier expiry', async (t) => {
  await set({ key: 'ended', value: 1, ttl_seconds: 3_600 })
  const { body } = await set({ key: 'ended', value: 2 })
  t.notOk('expires_in_seconds' in body)
  t.notOk('expires_in_seconds' in (await b.client.get('ended')).body)
  t.same((await query("select expires_at from cache_entries where key = 'ended'")).rows, [
    { expires_at: null },
  ])
})

t.test('a delete of an entry that has expired removes nothing', async (t) => {
  await query(
    "insert into cache_entries (key, value, expires_at) values ('past', 'x', now() - interval '1 hour')",
  )
  t.match((await a.client.delete('past')).body, { cache_removed: false, db_removed: false, token: String })
})

t.test('an invalid ttl_seconds is refused, on both ways through the sidecar', async (t) => {
  const invalid = ['0', '-1', '0.0004', '1000000001', '1e400', '-1e400', 'null', 'true', '"60"', '[60]', '{}']
  for (const ttl of invalid) {
    for (const type of ['application/json', 'application/json; charset=utf-8']) {
      const answer = await a.client.request('POST', '/cache/set', {
        raw: `{"key":"invalid","value":1,"ttl_seconds":${ttl}}`,
        headers: { 'Content-Type': type },
      })
      t.equal(answer.status, 422, ttl)
      t.match(answer.body.detail, /^ttl_seconds: must be a number of seconds from 0\.001 to 1000000000/)
    }
  }
  t.equal((await a.client.get('invalid')).status, 404, 'nothing was written')
  for (const ttl of [0.001, 0.0014, 1_000_000_000, 30.0005])
    t.equal((await set({ key: 'valid', value: 1, ttl_seconds: ttl })).status, 200, `${ttl}`)
})
