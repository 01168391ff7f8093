import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { Answer, JsonClient, Sending } from '../../support/json-client.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

/** Recorded from the original service; see `about` in the file. */
interface Facts {
  readonly defaults: Readonly<Record<string, string | number>>
  readonly table: string
  readonly its_writes: readonly [string, string]
  readonly exchanges: readonly Exchange[]
}

interface Exchange {
  readonly request: string
  readonly when?: string
  readonly body?: unknown
  readonly status: number
  readonly exact?: Readonly<Record<string, unknown>>
  readonly members?: readonly string[]
  readonly note?: string
}

const facts = JSON.parse(await readFile(new URL('responses.json', import.meta.url), 'utf8')) as Facts

/** Prepares an exchange and returns the sidecar to ask. */
type Setting = (a: JsonClient, b: JsonClient) => JsonClient | Promise<JsonClient>

const set: Setting = async (a) => {
  await a.set('foo', 'bar')
  return a
}
const settings: Readonly<Record<string, Setting>> = {
  'never set': (a) => a,
  'no key': (a) => a,
  'neither held nor stored': (a) => a,
  'body is no JSON, an array, or empty': (a) => a,
  'after the set, same instance': set,
  'held and stored': set,
  'first read by an instance that does not hold it': async (a, b) => {
    const { changes_applied: before } = await b.stats()
    await set(a, b)
    // Until then it knows from before that there is no entry.
    await eventually(async () => (await b.stats()).changes_applied > before)
    return b
  },
}

function sendings({ when, body }: Exchange): Sending[] {
  if (when === 'body is no JSON, an array, or empty') return [{ raw: 'key=foo' }, { raw: '[1]' }, { raw: '' }]
  return [body === undefined ? {} : { body }]
}

t.test('every request of the original service gets the same response', async (t) => {
  const { url } = await cacheDatabase(t)
  const a = (await startLiveSidecar(t, { databaseUrl: url })).client
  const b = (await startLiveSidecar(t, { databaseUrl: url })).client
  t.ok(facts.exchanges.length > 15, 'the facts are there')

  for (const exchange of facts.exchanges) {
    const { request, when, status, exact, members } = exchange
    t.test(`${request}${when ? `, ${when}` : ''}`, async (t) => {
      const { changes_applied: before } = await a.stats()
      const { body: deleted } = await a.delete('foo')
      // A set that overlaps the change of this delete puts nothing.
      if (deleted.db_removed) await eventually(async () => (await a.stats()).changes_applied > before)
      await eventually(async () => (await b.value('foo')) === undefined)
      const setting = when === undefined ? (one: JsonClient) => one : settings[when]
      if (!setting) throw new Error(`no setting for "${when}"`)
      const client = await setting(a, b)
      const [method = '', path = ''] = request.split(' ')
      for (const sending of sendings(exchange)) {
        const answer = await client.request(method, path, sending)
        // The one departure, which the facts allow: an empty key is refused.
        const isEmptyKey = (exchange.body as { key?: string } | undefined)?.key === ''
        t.equal(answer.status, isEmptyKey ? 422 : status)
        for (const [name, value] of Object.entries(exact ?? {})) t.strictSame(answer.body[name], value, name)
        for (const name of members ?? []) t.ok(name in answer.body, `has ${name}`)
        if (answer.status >= 400) isProblem(t, answer)
        else t.match(answer.headers['content-type'], /^application\/json/)
      }
    })
  }
})

function isProblem(t: Test, { status, headers, body }: Answer): void {
  t.match(headers['content-type'], /^application\/problem\+json/)
  t.type(body.detail, 'string')
  t.equal(body.status, status)
}

t.test('an empty value is allowed', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  t.match((await client.set('foo', '')).body, { ok: true, db_written: true })
  t.strictSame((await client.get('foo')).body, { key: 'foo', value: '', source: 'cache' })
})

t.test('GET / describes the service', async (t) => {
  const { url } = await cacheDatabase(t)
  const databaseUrl = Object.assign(new URL(url), { password: 'not-to-be-seen' }).href
  const { client } = await startLiveSidecar(t, { databaseUrl, capacity: 77, ttlSeconds: 5 })
  const { text, body } = await client.request('GET', '/')
  t.equal(body.service, 'caching-layer')
  t.strictSame(body.cache, { capacity: 77, ttl_seconds: 5 })
  t.equal(new URL(body.postgres as string).pathname, new URL(url).pathname)
  t.notMatch(text, 'not-to-be-seen')
  const paths = (body.endpoints as string[]).map((endpoint) => endpoint.replace(/\?.*/, ''))
  // There may be more: test/integration/docs/http-api.test.ts requires that each of them is documented.
  for (const documented of [
    'DELETE /cache/delete',
    'GET /cache/get',
    'GET /cache/stats',
    'GET /health',
    'POST /cache/set',
  ])
    t.ok(paths.includes(documented), documented)
})

t.test('the defaults', async (t) => {
  const { loadConfig } = await import('../../../src/config/load.js')
  const { config } = loadConfig({})
  t.strictSame(
    {
      // And ::1.
      host: config.host === 'localhost' ? '127.0.0.1' : config.host,
      port: config.port,
      DATABASE_URL: config.databaseUrl,
      CACHE_CAPACITY: config.capacity,
      CACHE_TTL_SECONDS: config.ttlSeconds,
    },
    facts.defaults,
  )
})

t.test('database down', async (t) => {
  t.test('the service starts and listens', async (t) => {
    const { url, drop } = await cacheDatabase(t)
    await drop()
    const { client } = await startSidecar(t, { databaseUrl: url })
    const health = await client.request('GET', '/health')
    t.equal(health.status, 200)
    t.equal(health.body.status, 'ok')

    const read = await client.get('foo')
    t.equal(read.status, 503, 'a key that is not held may exist')
    t.match(read.headers['retry-after'], /^\d+$/)
    isProblem(t, read)

    const written = await client.set('foo', 'bar')
    t.equal(written.status, 200)
    t.strictSame(written.body, { ok: true, db_written: false })
    const kept = await client.get('foo')
    t.match(kept.body, { key: 'foo', value: 'bar', source: 'cache', stale: true }, 'kept in this instance')

    const deleted = await client.delete('foo')
    t.equal(deleted.status, 200)
    t.match(deleted.body, { cache_removed: true, db_removed: false })
    t.equal((await client.get('foo')).status, 404)
    t.equal((await client.stats()).writes.pending, 1)
  })

  t.test('entries in memory are served', async (t) => {
    const { url, drop } = await cacheDatabase(t)
    const { client } = await startLiveSidecar(t, { databaseUrl: url, maxStalenessMs: 300 })
    await client.set('held', 'here')
    t.equal(await client.held('held'), 'here')
    await drop()
    t.match((await client.get('held')).body, { key: 'held', value: 'here', source: 'cache' })
    const stale = await eventually(async () => {
      const { status, body } = await client.get('held')
      t.equal(status, 200)
      return body.stale === true && body
    })
    t.strictSame(stale, { key: 'held', value: 'here', source: 'cache', stale: true })
    t.equal((await client.get('not held')).status, 503)
  })

  t.test('with CACHE_ON_WRITE_OUTAGE=reject no write is kept', async (t) => {
    const { url, drop } = await cacheDatabase(t)
    await drop()
    const { client } = await startSidecar(t, { databaseUrl: url, onWriteOutage: 'reject' })
    for (const answer of [await client.set('foo', 'bar'), await client.delete('foo')]) {
      t.equal(answer.status, 503)
      t.match(answer.headers['retry-after'], /^\d+$/)
      isProblem(t, answer)
    }
    t.equal((await client.stats()).writes.pending, 0)
  })
})
