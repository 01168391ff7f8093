/** The changes that a person makes on the page, with CACHE_UI_WRITE=on: who may make them, and what they do. */
import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { keyHash } from '../../../src/core/state/key-hash.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { type StartedSidecar, type StartOptions, startSidecar } from '../../support/sidecar.js'

const { url, query } = await cacheDatabase(t)

const authorization = { Authorization: 'Bearer secret' }
/** A set, with everything that lets it be made. */
const good = { headers: authorization, body: { key: 'access', value: 1 } }

const start = (t: Test, options: Partial<StartOptions> = {}) =>
  startSidecar(t, { databaseUrl: url, hasPageWrites: true, apiToken: 'secret', ...options })

/** Sends a change as the page does, and returns its outcome, or what was refused. */
async function change({ ops }: StartedSidecar, action: string, body: object): Promise<unknown> {
  const { origin } = new URL(ops.base)
  const headers = { ...authorization, Origin: origin, 'Sec-Fetch-Site': 'same-origin' }
  const answer = await ops.request('POST', `/ui/${action}`, { headers, body })
  return answer.status === 200 ? answer.body.outcome : answer
}

const read = async ({ client }: StartedSidecar, key: string) =>
  client.request('GET', `/cache/get?key=${key}`, { headers: authorization })
const rowOf = async (key: string) =>
  (await query('select value from cache_entries where key = $1', [key])).rows[0]?.value

t.test('changes are refused without everything that they need', async (t) => {
  const { ops } = await start(t)
  const host = new URL(ops.base).host
  const post = (sending: object) => ops.request('POST', '/ui/set', { ...good, ...sending })
  const withHeaders = (headers: object) => post({ headers: { ...authorization, ...headers } })

  t.match(await post({ headers: {} }), { status: 401, headers: { 'www-authenticate': 'Bearer' } }, 'no token')
  t.equal((await post({ headers: { Authorization: 'Bearer wrong' } })).status, 401, 'a wrong token')
  t.equal((await post({ headers: { Cookie: 'token=secret' } })).status, 401, 'a cookie')
  for (const headers of [
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site' },
    { 'Sec-Fetch-Site': 'none' },
    { 'Sec-Fetch-Site': 'cross-site', Origin: `http://${host}` },
    { Origin: 'http://evil.example' },
    { Origin: `http://${host}.evil.example` },
    { Origin: 'null' },
  ])
    t.match(
      await withHeaders(headers),
      { status: 403, body: { type: /#web-page$/ } },
      JSON.stringify(headers),
    )
  t.equal((await withHeaders({ Host: 'evil.example' })).status, 421)
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json-patch+json', ''])
    t.equal((await withHeaders({ 'Content-Type': type })).status, 415, type)
  t.equal((await withHeaders({ 'Content-Encoding': 'gzip' })).status, 415)
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])
    t.match(
      await ops.request(method, '/ui/set', { headers: authorization }),
      { status: 405, headers: { allow: 'POST', 'access-control-allow-origin': undefined } },
      method,
    )
  t.equal(await rowOf('access'), undefined, 'nothing was written')

  for (const headers of [
    {},
    { Origin: `http://${host}` },
    { 'Sec-Fetch-Site': 'same-origin' },
    // Behind a proxy that changes Host, and speaks TLS.
    { 'Sec-Fetch-Site': 'same-origin', Origin: 'https://proxy.example' },
    { 'Content-Type': 'application/json; charset=utf-8', 'X-Forwarded-For': '10.1.2.3' },
  ])
    t.match(
      await withHeaders(headers),
      { status: 200, body: { outcome: 'written' } },
      JSON.stringify(headers),
    )
})

t.test('without the setting, and without a token, nothing can be changed', async (t) => {
  const off = await start(t, { hasPageWrites: false })
  const tokenless = await startSidecar(t, { databaseUrl: url, hasPageWrites: true })
  const pageless = await start(t, { hasPage: false })
  for (const [{ ops }, status] of [
    [off, 405],
    [tokenless, 405],
    [pageless, 404],
  ] as const)
    for (const action of ['set', 'delete', 'drop'])
      t.equal((await ops.request('POST', `/ui/${action}`, good)).status, status)
  t.equal((await off.ops.request('GET', '/ui/set', good)).status, 404)
})

t.test('the page learns if it may change keys', async (t) => {
  const mayWrite = async ({ ops }: StartedSidecar, headers = {}) =>
    /"mayWrite":(true|false)/.exec((await ops.request('GET', '/ui/stream', { headers })).text)?.[1]
  const sidecar = await start(t)
  t.equal(await mayWrite(sidecar, authorization), 'true')
  t.equal(await mayWrite(sidecar), 'false')
  t.equal(await mayWrite(await start(t, { hasPageWrites: false }), authorization), 'false')
})

t.test('a set and a delete go through the cache', async (t) => {
  const sidecar = await start(t)
  const { log } = sidecar
  const set = { key: 'w', value: { n: 1 }, ttl_seconds: 60, groups: ['g'] }
  t.equal(await change(sidecar, 'set', set), 'written')
  t.match(await read(sidecar, 'w'), { status: 200, body: { value: { n: 1 }, expires_in_seconds: Number } })
  t.match(await query(`select groups from cache_entries where key = 'w'`), { rows: [{ groups: ['g'] }] })
  t.equal(await change(sidecar, 'delete', { key: 'w' }), 'deleted')
  t.equal((await read(sidecar, 'w')).status, 404)
  t.equal(await change(sidecar, 'delete', { key: 'w' }), 'absent')
  const logged = log
    .filter((line) => line.includes('a key was changed on the page'))
    .map((line) => JSON.parse(line))
  t.match(logged, [
    { level: 30, action: 'set', key: 'w', outcome: 'written', from: /127\.0\.0\.1$/ },
    { action: 'delete', key: 'w', outcome: 'deleted' },
    { action: 'delete', key: 'w', outcome: 'absent' },
  ])
  for (const [action, body] of [
    ['set', { key: 'w' }],
    ['set', { key: '', value: 1 }],
    ['set', { key: 'w', value: null }],
    ['delete', { key: 'w', value: 1 }],
    ['delete', []],
    ['drop', { key: 'w' }],
    ['drop', { key: 'w', everywhere: 'yes' }],
  ] as const)
    t.match(await change(sidecar, action, body), { status: 422 }, `${action} ${JSON.stringify(body)}`)
  const large = 'x'.repeat(2 * 1024 * 1024)
  t.match(await change(sidecar, 'set', { key: 'w', value: large }), { status: 413 })
})

t.test('keys are hashed in the log if the page hashes them', async (t) => {
  const sidecar = await start(t, { pageKeys: 'hash' })
  t.equal(await change(sidecar, 'set', { key: 'hidden key', value: 1 }), 'written')
  t.notMatch(sidecar.log.join(''), 'hidden key')
  t.match(sidecar.log.join(''), `"keyHash":"${keyHash('hidden key')}"`)
})

t.test('a key can be dropped from memory, here or everywhere, and its row stays', async (t) => {
  const [one, two] = [await start(t), await start(t)]
  for (const key of ['d', 'long'.repeat(200)]) {
    const sourceOf = async (sidecar: StartedSidecar) => (await read(sidecar, key)).body.source
    const untilReadFrom = (source: string, sidecar: StartedSidecar) =>
      eventually(async () => (await sourceOf(sidecar)) === source)
    await change(one, 'set', { key, value: 1 })
    await Promise.all([untilReadFrom('cache', one), untilReadFrom('cache', two)])

    t.equal(await change(one, 'drop', { key, everywhere: false }), 'dropped')
    t.equal(await change(one, 'drop', { key, everywhere: false }), 'not-held')
    t.equal(await sourceOf(two), 'cache', 'the other one still holds it')
    t.equal(await sourceOf(one), 'db')
    await untilReadFrom('cache', one)
    t.equal(await change(one, 'drop', { key, everywhere: true }), 'dropped-everywhere')
    await untilReadFrom('db', two)
    t.equal(await rowOf(key), '1')
  }
})

t.test('bound keys cannot be changed, and can be dropped', async (t) => {
  await query('create table bound (id int primary key); insert into bound values (1)')
  await query("select cache_bind('bound', key => 'bound:{id}')")
  const sidecar = await start(t)
  const key = 'bound:1'
  await eventually(async () => (await read(sidecar, key)).body.source === 'cache')
  const refused = { status: 409, body: { detail: /bound:\{id\}/, type: /#bound-key$/ } }
  t.match(await change(sidecar, 'set', { key, value: 1 }), refused)
  t.match(await change(sidecar, 'delete', { key }), refused)
  t.match(sidecar.log.join(''), /"reason":"bound-key".*a key could not be changed on the page/)
  t.equal(await change(sidecar, 'drop', { key, everywhere: false }), 'dropped')
  t.equal((await read(sidecar, key)).body.source, 'db')
})

t.test(
  'while the database is unavailable, a write is pending, and a drop everywhere is refused',
  async (t) => {
    const sidecar = await start(t, { databaseUrl: 'postgresql://u@127.0.0.1:1/d' })
    t.equal(await change(sidecar, 'set', { key: 'p', value: 1 }), 'pending')
    t.equal(await change(sidecar, 'delete', { key: 'q' }), 'pending')
    t.equal(await change(sidecar, 'drop', { key: 'p', everywhere: false }), 'not-held')
    t.match(await read(sidecar, 'p'), { status: 200, body: { value: 1 } }, 'a drop keeps the pending write')
    const all = await change(sidecar, 'drop', { key: 'p', everywhere: true })
    t.match(all, { status: 503, body: { type: /#store-unavailable$/ } })
    const { ops } = await start(t, { databaseUrl: 'postgresql://u@127.0.0.1:1/d', onWriteOutage: 'reject' })
    t.equal((await ops.request('POST', '/ui/set', good)).status, 503)
  },
)

t.test('a sidecar that shuts down accepts no more changes', async (t) => {
  const started = await start(t)
  // A request that is under way keeps the sidecar from closing its listeners.
  const socket = connect(started.sidecar.port, '127.0.0.1')
  socket.write(
    'POST /cache/set HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n' +
      'Content-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
  )
  await once(socket, 'data')
  const closing = started.sidecar.close()
  const refused = { status: 503, body: { type: /#not-serving$/ } }
  t.match(await change(started, 'set', { key: 's', value: 1 }), refused)
  t.equal(await rowOf('s'), undefined)
  socket.destroy()
  await closing
})
