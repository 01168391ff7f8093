import t from 'tap'
import { z } from 'zod'
import { createClient } from '../../../clients/node/src/index.js'
import { clientError } from '../../support/client-error.js'
import { connectedClient, nearOptions } from '../../support/connected-client.js'
import { eventually } from '../../support/eventually.js'
import { Gate } from '../../support/gate.js'
import { startLiveSidecar } from '../../support/sidecar.js'

t.test('a missing value is computed once in the fleet, and stored', async (t) => {
  const { app, url: databaseUrl, query, client } = await connectedClient(t)
  const { client: second } = await startLiveSidecar(t, { databaseUrl })
  const elsewhere = createClient({ url: second.base, near: nearOptions })
  t.teardown(() => elsewhere.close())
  let computed = 0
  const gate = new Gate()
  const compute = async () => {
    computed++
    await gate.pass()
    return { n: computed }
  }
  const options = { ttlSeconds: 60, groups: ['g'], waitSeconds: 60 }
  const here = [app.getOrCompute('k', compute, options), app.getOrCompute('k', compute, options)]
  await eventually(() => computed === 1)
  const there = elsewhere.getOrCompute('k', compute, options)
  await eventually(async () => (await second.stats()).fill_leases.waiting === 1)
  gate.open()
  t.same(await Promise.all([...here, there]), [{ n: 1 }, { n: 1 }, { n: 1 }])
  t.equal(computed, 1)
  const { rows } = await query(
    `select groups, expires_at is not null as expires from cache_entries where key = 'k'`,
  )
  t.same(rows, [{ groups: ['g'], expires: true }])
  t.same(await app.getOrCompute('k', compute), { n: 1 })
  t.equal((await client.stats()).fill_leases.granted, 1)
})

t.test('two processes that compute what the other one waits for do not hold each other up', async (t) => {
  const { app, client } = await connectedClient(t, { maxConnections: 1 })
  const other = createClient({ url: client.base, maxConnections: 1 })
  t.teardown(() => other.close())
  const gate = new Gate()
  let computed = 0
  const compute = async () => {
    computed++
    await gate.pass()
    return 1
  }
  const computing = [app.getOrCompute('a', compute), other.getOrCompute('b', compute)]
  await eventually(() => computed === 2)
  const waiting = [app.getOrCompute('b', compute), other.getOrCompute('a', compute)]
  await eventually(async () => (await client.stats()).fill_leases.waiting === 2)
  await client.set('c', 1)
  t.equal(await app.getOrCompute('c', compute), 1, 'a value that is there is read meanwhile')
  gate.open()
  await Promise.all([...computing, ...waiting])
  t.equal(computed, 2)
})

t.test('where there is nothing to store, the next process computes at once', async (t) => {
  const { app, url: databaseUrl } = await connectedClient(t)
  const { client: second } = await startLiveSidecar(t, { databaseUrl })
  const elsewhere = createClient({ url: second.base })
  t.teardown(() => elsewhere.close())
  const large = 'x'.repeat(1_100_000)
  const outcomes: Readonly<Record<string, () => unknown>> = {
    failed: () => Promise.reject(new Error('no')),
    absent: () => undefined,
    'too large': () => large,
    refused: () => 'a lone \ud800',
  }
  for (const [key, nothing] of Object.entries(outcomes)) {
    const gate = new Gate()
    let isComputing = false
    const compute = async () => {
      isComputing = true
      await gate.pass()
      return nothing()
    }
    const options = { leaseSeconds: 300, waitSeconds: 15 }
    const vain = app.getOrCompute<unknown>(key, compute, options).catch(({ message }) => message)
    await eventually(() => isComputing)
    const there = elsewhere.getOrCompute(key, () => 'computed', options)
    await eventually(async () => (await second.stats()).fill_leases.waiting === 1)
    gate.open()
    const outcome = await vain
    const expected = { failed: 'no', 'too large': 'the value', refused: /invalid-input/ }[key]
    t.match(outcome === large ? 'the value' : outcome, expected)
    t.equal(await there, 'computed')
    const stored = await app.get(key, { consistency: 'strong' })
    t.equal(stored, 'computed', 'it is stored, so the lease was given to the second process')
  }
})

t.test('a value from old data is computed again', async (t) => {
  const { app, query } = await connectedClient(t)
  let data = 'old'
  let computed = 0
  const value = await app.getOrCompute(
    'k',
    async () => {
      const read = data
      if (computed++ === 0) {
        data = 'new'
        await query(`select cache_invalidate_group('g')`)
      }
      return read
    },
    { groups: ['g'] },
  )
  t.equal(value, 'new')
  t.equal(computed, 2)
  t.equal(await app.get('k'), 'new')
})

t.test('a call does not join what began before a write of this client', async (t) => {
  const { app } = await connectedClient(t)
  const gate = new Gate()
  let data = 'old'
  let computed = 0
  const compute = async () => {
    const read = data
    if (++computed === 1) await gate.pass()
    return read
  }
  const first = app.getOrCompute('k', compute)
  await eventually(() => computed === 1)
  data = 'new'
  await app.delete('k')
  const second = app.getOrCompute('k', compute)
  await eventually(() => computed === 2)
  t.equal(await second, 'new')
  gate.open()
  t.equal(await first, 'new', 'the lease of the old value had been revoked')
})

t.test('an error, and nothing, are passed on and not stored', async (t) => {
  const { app, query, client } = await connectedClient(t)
  await t.rejects(
    app.getOrCompute('a', () => Promise.reject(new Error('no data'))),
    { message: 'no data' },
  )
  t.equal(await app.getOrCompute('b', () => undefined, { waitSeconds: 0 }), undefined)
  t.equal(await app.getOrCompute('c', () => null, { waitSeconds: 0 }), null)
  await client.request('GET', '/v1/entries/d', { headers: { Prefer: 'fill-lease=300' } })
  t.equal(await app.getOrCompute('d', () => 1, { waitSeconds: 0 }), 1, 'another one has the lease')
  t.same((await query('select * from cache_entries')).rows, [])
  await t.rejects(
    app.getOrCompute('e', () => 1, { groups: ['ü'] }),
    clientError({ kind: 'invalid-value' }),
  )
})

t.test('a schema validates what is read, and what is computed before it is stored', async (t) => {
  const { app, query } = await connectedClient(t, { near: nearOptions })
  const schema = z.object({ name: z.string(), at: z.coerce.date() })
  const error = clientError({
    kind: 'invalid-value',
    detail: /^\w+: the value does not fit the schema: name: /,
  })
  const user = { name: 'Ada', at: new Date('1815-12-10') }
  const options = { schema, waitSeconds: 0 }
  const compute = () => ({ name: 'Ada', at: '1815-12-10', more: 1 })
  t.same(await app.getOrCompute('user', compute, options), user, 'computed')
  const none = () => Promise.reject(new Error('computed again'))
  t.same(await app.getOrCompute('user', none, options), user, 'read')
  await eventually(() => app.near?.get('user') !== undefined || app.get('user').then(() => false))
  t.same(await app.getOrCompute('user', none, options), user, 'from the near cache')

  const wrong = () => ({ name: 7, at: '1815-12-10' })
  await t.rejects(app.getOrCompute('wrong', wrong, options), error)
  t.same((await query("select key from cache_entries where key = 'wrong'")).rows, [])
  t.same(await app.getOrCompute('wrong', compute, options), user, 'the lease was given back')
  await app.set('user', wrong())
  await t.rejects(app.getOrCompute('user', none, options), error)
  await eventually(() => app.near?.get('user') !== undefined || app.get('user').then(() => false))
  await t.rejects(app.getOrCompute('user', none, options), error)
  t.equal(await app.getOrCompute('nothing', () => undefined, options), undefined)
})

t.test('a call that is aborted does not end those that share its value', async (t) => {
  const { app } = await connectedClient(t)
  const gate = new Gate()
  const controller = new AbortController()
  const compute = async () => {
    await gate.pass()
    return 1
  }
  const aborted = app.getOrCompute('k', compute, { signal: controller.signal })
  const shared = app.getOrCompute('k', compute)
  controller.abort(new Error('enough'))
  await t.rejects(aborted, { message: 'enough' })
  gate.open()
  t.equal(await shared, 1)
  await t.rejects(app.getOrCompute('k', compute, { signal: controller.signal }), { message: 'enough' })
})

t.test('a call with a signal that is already aborted computes nothing', async (t) => {
  const { app } = await connectedClient(t)
  let computed = 0
  const compute = () => ++computed
  const signal = AbortSignal.abort(new Error('enough'))
  await t.rejects(app.getOrCompute('k', compute, { signal }), { message: 'enough' })
  t.equal(await app.getOrCompute('k', compute), 1)
})

t.test('a client that is closed waits for no function', async (t) => {
  const { app } = await connectedClient(t)
  const gate = new Gate()
  let isComputing = false
  const call = app.getOrCompute('k', async () => {
    isComputing = true
    await gate.pass()
    return 1
  })
  await eventually(() => isComputing)
  await app.close()
  await t.rejects(call, clientError({ kind: 'closed' }))
  gate.open()
})

t.test('without the sidecar or the database, values are computed and not stored', async (t) => {
  const { app, sidecar, drop, client } = await connectedClient(t)
  await drop()
  await eventually(async () => (await client.get('k')).status === 503)
  t.equal(await app.getOrCompute('k', () => 1), 1)
  await sidecar.close()
  t.equal(await app.getOrCompute('k', () => 2), 2)
  await t.rejects(app.get('k'), clientError({ kind: 'unreachable', retryable: true }))
})
