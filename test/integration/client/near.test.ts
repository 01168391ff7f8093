import t from 'tap'
import type { Client } from '../../../clients/node/src/api.js'
import { createClient } from '../../../clients/node/src/index.js'
import { balancer } from '../../support/balancer.js'
import { clientError } from '../../support/client-error.js'
import { connectedClient, nearIsProven, nearOptions } from '../../support/connected-client.js'
import { eventually } from '../../support/eventually.js'
import { inspectNow } from '../../support/held-answers.js'
import { scriptedServer } from '../../support/scripted-server.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Reads until the near cache answers. Resolves to the value; undefined if it knows that there is none. */
async function nearValue(app: Client, key: string): Promise<unknown> {
  await app.get(key)
  await eventually(async () => {
    const before = app.near?.stats().hits ?? 0
    await app.get(key)
    return (app.near?.stats().hits ?? 0) > before
  })
  return app.get(key)
}

t.test('a value that is held follows every change', async (t) => {
  const { app, client, query } = await connectedClient(t, { near: nearOptions })
  await client.set('a', { n: 1 })
  t.same(await nearValue(app, 'a'), { n: 1 })
  t.match(await app.getEntry('a'), { source: 'near', stale: false, etag: /^"/ })
  t.same(app.near?.get('a'), { n: 1 })
  t.ok(Object.isFrozen(await app.get('a')))
  await query(`update cache_entries set value = '{"n":2}' where key = 'a'`)
  await eventually(async () => ((await app.get('a')) as { n: number }).n === 2)
  t.same(await nearValue(app, 'a'), { n: 2 })
  await query(`delete from cache_entries where key = 'a'`)
  await eventually(async () => (await app.get('a')) === undefined)
  t.equal(await nearValue(app, 'a'), undefined)
  t.match(app.near?.stats(), { entries: 0, absentKeys: 1, feed: 'live', maxStalenessMs: 3_000 })
  await client.set('a', 3)
  await eventually(async () => (await app.get('a')) === 3)
})

t.test('bytes that a hit gives away are a copy', async (t) => {
  const { app } = await connectedClient(t, { near: nearOptions })
  await app.set('b', new Uint8Array([1, 2]))
  const first = (await nearValue(app, 'b')) as Uint8Array
  first[0] = 9
  t.same(await app.get('b'), new Uint8Array([1, 2]))
})

t.test('bytes that are held are not those that a read has given away', async (t) => {
  const { app } = await connectedClient(t, { near: nearOptions })
  await nearIsProven(app)
  const bytes = new Uint8Array([1, 2])
  const reads = {
    get: () => app.get<Uint8Array>('get'),
    getMany: async () => (await app.getMany<Uint8Array>(['getMany'])).get('getMany'),
    getOrCompute: () => app.getOrCompute('getOrCompute', () => new Uint8Array([0])),
  }
  for (const [key, read] of Object.entries(reads)) {
    await app.set(key, bytes)
    const { misses } = app.near?.stats() ?? {}
    const given = (await read()) as Uint8Array
    t.equal(app.near?.stats().misses, (misses ?? 0) + 1)
    given[0] = 9
    t.same(app.near?.get(key), bytes, key)
  }
})

t.test('a client reads its own writes, and strong reads ask', async (t) => {
  const { app } = await connectedClient(t, { near: nearOptions })
  await app.set('a', 1)
  await nearValue(app, 'a')
  for (let n = 2; n < 50; n++) {
    await app.set('a', n)
    t.equal(await app.get('a'), n)
  }
  t.match(await app.getEntry('a', { consistency: 'strong' }), { source: 'db' })
  await nearValue(app, 'a')
  await app.delete('a')
  t.equal(await app.get('a'), undefined)
  await app.set('a', 1, { groups: ['g'] })
  await nearValue(app, 'a')
  await app.invalidate({ groups: ['g'] })
  t.equal(await app.get('a'), undefined)
})

t.test('many keys are answered from both', async (t) => {
  const { app, client } = await connectedClient(t, { near: nearOptions })
  for (const key of ['a', 'b', 'c']) await client.set(key, key)
  await nearIsProven(app)
  await nearValue(app, 'a')
  t.same(Object.fromEntries(await app.getMany(['a', 'b', 'none'])), { a: 'a', b: 'b' })
  await nearValue(app, 'b')
  const { hits } = app.near?.stats() ?? {}
  t.same(Object.fromEntries(await app.getMany(['a', 'b'])), { a: 'a', b: 'b' })
  t.equal(app.near?.stats().hits, (hits ?? 0) + 2)
})

t.test('rows of a bound table are held, and follow their outbox', async (t) => {
  const { app, query } = await connectedClient(t, { near: nearOptions })
  await query(`create table item (id int primary key, n int); insert into item values (1, 1);
               select cache_bind('item', key => 'item:{id}')`)
  await query(inspectNow)
  await eventually(async () => (await app.get('item:1')) !== undefined)
  t.match(await nearValue(app, 'item:1'), { n: 1 })
  await query(`update item set n = 2`)
  await eventually(async () => ((await app.get('item:1')) as { n: number }).n === 2)
  t.equal(await nearValue(app, 'item:2'), undefined)
  const { absentKeys } = app.near?.stats() ?? {}
  t.same([...(await app.getMany(['item:3', 'item:2']))], [])
  t.equal(app.near?.stats().absentKeys, absentKeys, 'an answer for several keys says no time for each')
  await query('insert into item values (2, 1)')
  await eventually(async () => (await app.get('item:2')) !== undefined)
})

t.test('when the sidecar ends, values are served for the bound, and then nothing is', async (t) => {
  const { app, sidecar } = await connectedClient(t, { near: nearOptions }, { maxStalenessMs: 600 })
  await app.set('a', 1)
  await nearValue(app, 'a')
  await sidecar.close()
  await eventually(() => app.near?.stats().feed === 'down')
  await eventually(async () =>
    app.get('a').then(
      () => false,
      ({ kind }) => kind === 'unreachable',
    ),
  )
  t.ok((app.near?.stats().leaseAgeMs ?? 0) > 600)
})

t.test(
  'a question that is not answered is asked again, whatever the time limit of the client is',
  async (t) => {
    const opening = 'event: open\ndata: {"stream":"p.1","feed":"p.0","max_staleness_ms":3000}\n\n'
    let questions = 0
    const { port } = await scriptedServer(t, (socket, text) => {
      if (text.startsWith('POST /v1/changes:prove')) questions++
      else if (text.startsWith('GET /v1/changes')) socket.write(`HTTP/1.1 200 OK\r\n\r\n${opening}`)
    })
    const url = `http://127.0.0.1:${port}`
    const app = createClient({ url, near: nearOptions, timeoutMs: Number.POSITIVE_INFINITY })
    t.teardown(() => app.close())
    await eventually(() => questions === 2)
  },
)

t.test('a client that is closed answers nothing from memory', async (t) => {
  const { app } = await connectedClient(t, { near: nearOptions })
  await app.set('a', 1)
  await nearValue(app, 'a')
  const closing = app.close()
  t.equal(app.near?.get('a'), undefined)
  t.match(app.near?.stats(), { entries: 0, absentKeys: 0, bytes: 0, feed: 'down', leaseAgeMs: undefined })
  await closing
  for (const call of [app.get('a'), app.getEntry('a'), app.getMany(['a']), app.getOrCompute('a', () => 2)])
    await t.rejects(call, clientError({ kind: 'closed' }))
})

t.test('after a cut, the stream continues, and with another sidecar everything starts over', async (t) => {
  const { url: databaseUrl, client, sidecar, query } = await connectedClient(t)
  const other = await startLiveSidecar(t, { databaseUrl })
  const front = await balancer(t, [sidecar.port])
  const app = createClient({ url: front.url, near: nearOptions })
  t.teardown(() => app.close())
  await client.set('a', 1)
  await nearValue(app, 'a')
  await client.set('b', 1)
  await nearValue(app, 'b')
  // Nothing listens there: the client must not be back before anybody has seen that it was away.
  front.targets = [1]
  front.cut()
  await eventually(() => app.near?.stats().feed === 'down')
  await query(`update cache_entries set value = '2' where key = 'b'`)
  front.targets = [sidecar.port]
  await eventually(() => app.near?.stats().feed === 'live')
  await eventually(async () => (await app.get('b')) === 2)
  t.equal(await app.get('a'), 1)
  t.equal(app.near?.stats().entries, 2, 'what has not changed has stayed')

  front.targets = [other.sidecar.port]
  front.cut()
  await eventually(() => app.near?.stats().entries === 0)
  t.equal(await nearValue(app, 'a'), 1)
})

t.test('behind a balancer, only answers of the followed sidecar are held', async (t) => {
  const { url: databaseUrl, client, sidecar } = await connectedClient(t)
  const other = await startLiveSidecar(t, { databaseUrl })
  const front = await balancer(t, [sidecar.port, other.sidecar.port])
  const app = createClient({ url: front.url, near: nearOptions, maxConnections: 2 })
  t.teardown(() => app.close())
  await client.set('a', 1)
  await eventually(async () => {
    await Promise.all([app.get('a', { consistency: 'strong' }), app.get('a', { consistency: 'strong' })])
    return app.near?.get('a') === 1
  })
  t.pass('the question was asked until it came to the right one')
})
