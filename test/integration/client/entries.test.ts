import t from 'tap'
import { z } from 'zod'
import { createClient } from '../../../clients/node/src/index.js'
import { clientError } from '../../support/client-error.js'
import { connectedClient } from '../../support/connected-client.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startSidecar } from '../../support/sidecar.js'

t.test('values of every type come back as they were written', async (t) => {
  const { app } = await connectedClient(t)
  const values = {
    text: 'a "text" with ü and 🎈',
    number: 1.5,
    zero: 0,
    truth: false,
    list: [1, [2, null]],
    object: { a: { b: 'c' } },
    bytes: new Uint8Array([0, 255, 10]),
  }
  for (const [key, value] of Object.entries(values)) {
    t.match(await app.set(key, value), { isPending: false, existed: false })
    t.strictSame(await app.get(key), value, key)
  }
  t.strictSame(Object.fromEntries(await app.getMany([...Object.keys(values), 'none'])), values)
  await app.set('page', '<h1>', { contentType: 'text/html' })
  t.equal(await app.get('page'), '<h1>')
  t.equal(await app.get('none'), undefined)
  t.equal((await app.getMany([])).size, 0)
})

t.test('a key may have any characters', async (t) => {
  const { app } = await connectedClient(t)
  for (const key of ['a/b', 'ü ?&=#%', '..', '.', 'a+b', 'x'.repeat(1_000)]) {
    await app.set(key, key)
    t.equal(await app.get(key), key)
    t.match(await app.delete(key), { existed: true })
    t.match(await app.delete(key), { existed: false })
  }
  await t.rejects(app.get('\ud800'), clientError({ kind: 'invalid-value' }))
  await t.rejects(app.get(''), clientError({ kind: 'invalid-value', retryable: false }))
})

t.test('a write has a condition, a time to live and groups', async (t) => {
  const { app, query } = await connectedClient(t)
  const { etag } = await app.set('a', 1, { ifNoneMatch: '*' })
  await t.rejects(
    app.set('a', 2, { ifNoneMatch: '*' }),
    clientError({ status: 412, kind: 'condition-failed' }),
  )
  t.equal((await app.getEntry('a'))?.etag, etag)
  t.match(await app.set('a', 2, { ifMatch: etag ?? '' }), { existed: true })
  await t.rejects(app.delete('a', { ifMatch: etag ?? '' }), clientError({ kind: 'condition-failed' }))

  await app.set('b', 1, { ttlSeconds: 60, groups: ['user:"1"', 'back\\slash'] })
  const { rows } = await query(
    `select groups, expires_at > now() + interval '50 s' as lasts from cache_entries where key = 'b'`,
  )
  t.strictSame(rows, [{ groups: ['user:"1"', 'back\\slash'], lasts: true }])
  t.equal(await app.invalidate({ groups: ['user:"1"'] }), 1)
  t.equal(await app.invalidate({ keys: ['a'], prefix: 'z' }), 1)
  t.strictSame([await app.get('a'), await app.get('b')], [undefined, undefined])

  for (const options of [{ ttlSeconds: 0.5 }, { groups: ['ü'] }])
    await t.rejects(app.set('a', 1, options), clientError({ kind: 'invalid-value' }))
  await t.rejects(app.set('a', (() => 1) as never), clientError({ kind: 'invalid-value' }))
})

t.test('a schema validates, and gives the type', async (t) => {
  const { app } = await connectedClient(t)
  const schema = z.object({ name: z.string(), at: z.coerce.date() })
  await app.set('user', { name: 'Ada', at: '1815-12-10', more: 1 })
  const user = await app.get('user', { schema })
  t.same(user, { name: 'Ada', at: new Date('1815-12-10') })
  t.same((await app.getMany(['user'], { schema })).get('user'), user)
  await app.set('user', { name: 7, at: '1815-12-10' })
  const error = clientError({
    kind: 'invalid-value',
    detail: /^user: the value does not fit the schema: name: /,
  })
  await t.rejects(app.get('user', { schema }), error)
  await t.rejects(app.getMany(['user'], { schema }), error)
  t.equal(await app.get('none', { schema }), undefined)
})

t.test('a client reads its own writes, at another sidecar as well', async (t) => {
  const { app, client, query } = await connectedClient(t)
  await app.set('a', 1)
  t.match(await app.getEntry('a'), { value: 1, source: 'cache' })
  // As if this sidecar had not heard of the last write: somebody else's client knows the old value.
  await query(`alter table cache_entries disable trigger user; update cache_entries set value = '3';
               alter table cache_entries enable trigger user`)
  const strong = await app.getEntry('a', { consistency: 'strong' })
  t.match(strong, { value: 3, source: 'db', stale: false })
  await app.delete('never')
  t.equal((await client.request('GET', '/v1/entries/never')).status, 404)
  t.equal(await app.get('never'), undefined)
  await app.set('b', 1)
  t.strictSame([...(await app.getMany(['a', 'b', 'c']))].sort(), [
    ['a', 3],
    ['b', 1],
  ])
})

t.test('during an outage, many keys are read like one, those that this client has written too', async (t) => {
  const { app, client, drop } = await connectedClient(t)
  await app.set('written', 1)
  await client.set('other', 2)
  await app.getMany(['written', 'other'])
  await drop()
  await eventually(async () => (await app.getEntry('written'))?.stale)
  t.equal(await app.get('written'), 1)
  t.same(Object.fromEntries(await app.getMany(['written', 'other', 'written'])), { written: 1, other: 2 })
  await t.rejects(
    app.getMany(['written'], { consistency: 'strong' }),
    clientError({ kind: 'login-refused', status: 503 }),
  )
})

t.test('a token is sent where one is required', async (t) => {
  const { url: databaseUrl } = await cacheDatabase(t)
  const { client } = await startSidecar(t, { databaseUrl, apiToken: 'secret' })
  const app = createClient({ url: client.base, token: 'secret' })
  const without = createClient({ url: client.base })
  t.teardown(() => Promise.all([app.close(), without.close()]))
  await app.set('a', 1)
  await t.rejects(without.get('a'), clientError({ status: 401, kind: 'no-token', retryable: false }))
})
