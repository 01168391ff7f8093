import { Agent } from 'node:http'
import pg from 'pg'
import t from 'tap'
import { cacheDatabase, type Owner, ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { guestOf } from '../../support/guest.js'
import { type Answer, JsonClient } from '../../support/json-client.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const path = '/v1/entries/k'

const ask = (client: JsonClient, prefer = 'fill-lease=10', headers = {}) =>
  client.request('GET', path, { headers: { Prefer: prefer, ...headers } })

const put = (client: JsonClient, lease: unknown, raw = 'value', headers = {}) =>
  client.request('PUT', path, {
    raw,
    headers: { 'Content-Type': 'text/plain', 'Fill-Lease': String(lease), ...headers },
  })

const leaseOf = ({ headers }: Answer) => headers['fill-lease']

async function fleet(t: Owner, size: number) {
  const database = await cacheDatabase(t)
  const sidecars = [await startLiveSidecar(t, { databaseUrl: database.url })]
  while (sidecars.length < size) sidecars.push(await startLiveSidecar(t, { databaseUrl: database.url }))
  const clients = sidecars.map(({ client }) => client)
  return { ...database, sidecars, clients, one: clients[0] as JsonClient, two: clients.at(-1) as JsonClient }
}

const waiting = async (client: JsonClient) =>
  ((await client.request('GET', '/cache/stats')).body.fill_leases as { waiting: number }).waiting

t.test('one caller gets a lease, and the others wait for its value', async (t) => {
  const { one, two, query } = await fleet(t, 2)
  const first = await ask(one, 'fill-lease=10', { 'Cache-Groups': '"user:42"' })
  t.match(first, { status: 404, headers: { 'preference-applied': 'fill-lease=10' } })
  t.match(leaseOf(first), /^[\w-]{22}$/)

  const vain = await ask(two)
  t.match(vain, {
    status: 404,
    // Rounded up, and the answer itself took its time.
    headers: { 'retry-after': /^1[01]$/ },
    body: { detail: /another client is computing/ },
  })
  t.notOk(leaseOf(vain))
  const same = ask(one, 'fill-lease=10, wait=86400')
  const other = ask(two, 'wait="20", fill-lease=10')
  await eventually(async () => (await waiting(one)) === 1 && (await waiting(two)) === 1)
  t.match(await put(one, leaseOf(first)), { status: 201, headers: { etag: /./ } })
  t.match(await same, { status: 200, text: 'value' })
  t.match(await other, { status: 200, text: 'value' })
  t.same((await query('select value, groups from cache_entries')).rows, [
    { value: 'value', groups: ['user:42'] },
  ])
  t.same((await query('select key from cache_leases')).rows, [])
  t.match(await ask(one), { status: 200, text: 'value' }, 'a hit is a hit')
})

t.test('200 callers at 4 sidecars cause one computation', async (t) => {
  const { clients } = await fleet(t, 4)
  let computations = 0
  const call = async (client: JsonClient) => {
    const answer = await ask(client, 'fill-lease=60, wait=60')
    const lease = leaseOf(answer)
    if (lease === undefined) return answer.text
    computations++
    await eventually(async () => {
      const numbers = await Promise.all(clients.map(waiting))
      return numbers.reduce((sum, number) => sum + number) === 199
    })
    t.equal((await put(client, lease, 'computed')).status, 201)
    return 'computed'
  }
  const callers = clients.flatMap((client) => Array.from({ length: 50 }, () => call(client)))
  const answers = await Promise.all(callers)
  t.equal(computations, 1)
  t.same(new Set(answers), new Set(['computed']))
  t.same(await Promise.all(clients.map(waiting)), [0, 0, 0, 0])
})

t.test('if the holder is gone, one of those who wait gets the next lease', async (t) => {
  const { one, two } = await fleet(t, 2)
  const gone = leaseOf(await ask(one, 'fill-lease=1'))
  const waiters = [one, one, two, two].map(async (client) => {
    const answer = await ask(client, 'fill-lease=60, wait=60')
    if (leaseOf(answer)) await put(client, leaseOf(answer), 'next')
    return answer
  })
  const answers = await Promise.all(waiters)
  t.equal(answers.filter(leaseOf).length, 1)
  t.equal(answers.filter(({ text }) => text === 'next').length, 3)
  t.match(await put(one, gone), {
    status: 412,
    body: { detail: 'Fill-Lease: has ended, or was revoked by an invalidation' },
  })
})

t.test('a lease that is given back goes to one of those who wait', async (t) => {
  const { one, two } = await fleet(t, 2)
  const giveBack = (lease: unknown, headers = {}) =>
    one.request('DELETE', path, { headers: { 'Fill-Lease': String(lease), ...headers } })
  const failed = leaseOf(await ask(one, 'fill-lease=300'))
  const waiter = ask(two, 'fill-lease=300, wait=60')
  await eventually(async () => (await waiting(two)) === 1)
  const answer = await giveBack(failed)
  t.match(answer, { status: 204, text: '' })
  t.notOk(answer.headers['cache-token'])
  const next = leaseOf(await waiter)
  t.ok(next)
  t.match(await giveBack(failed), { status: 204 }, 'again, and the lease of another is kept')
  t.match(await giveBack(next, { 'If-Match': '*' }), {
    status: 422,
    body: { detail: /must not be combined/ },
  })
  t.match(await put(two, next), { status: 201 })
  t.match(await giveBack(next), { status: 204 })
  t.match(await ask(one), { status: 200, text: 'value' }, 'an entry is not deleted')
})

t.test('every way of invalidation revokes a lease, and those who wait get the next one', async (t) => {
  const { one, two, query } = await fleet(t, 2)
  const invalidate = (body: object) => one.request('POST', '/v1/invalidate', { body })
  const ways: Record<string, () => Promise<unknown>> = {
    key: () => invalidate({ keys: ['k'] }),
    group: () => invalidate({ groups: ['g'] }),
    prefix: () => invalidate({ prefix: 'k' }),
    all: () => invalidate({ all: true }),
    'SQL function': () => query("select cache_invalidate_group('g')"),
    'delete of an entry': () => one.request('DELETE', path),
    'delete of the original API': () => one.delete('k'),
  }
  for (const [name, revoke] of Object.entries(ways)) {
    const lease = leaseOf(await ask(two, 'fill-lease=60', { 'Cache-Groups': '"f", "g"' }))
    t.ok(lease, name)
    const next = ask(one, 'fill-lease=60, wait=60')
    await eventually(async () => (await waiting(one)) === 1)
    await revoke()
    t.ok(leaseOf(await next), 'those who wait at another sidecar learn of it')
    t.match(await put(two, lease), { status: 412, body: { detail: /revoked/ } }, name)
    t.match(await put(two, leaseOf(await next)), { status: 201 })
    await query('select cache_invalidate_all()')
    await eventually(async () => (await two.get('k')).status === 404)
  }
})

t.test('while a transaction that invalidates is open, all wait', async (t) => {
  const { url, one } = await fleet(t, 1)
  const application = new pg.Client({ connectionString: url })
  await application.connect()
  t.teardown(() => application.end())
  await application.query("begin; select cache_invalidate_group('g')")
  const groups = { 'Cache-Groups': '"g"' }
  t.match(await ask(one, 'fill-lease=60', groups), {
    status: 404,
    headers: { 'retry-after': '1', 'fill-lease': undefined },
    body: { detail: /^Key not found: no lease is given .* transaction/ },
  })
  const later = ask(one, 'fill-lease=60, wait=60', groups)
  await eventually(async () => (await waiting(one)) === 1)
  await application.query('commit')
  t.ok(leaseOf(await later))
})

t.test('a value that is stored by others, or in other groups, is refused', async (t) => {
  const { one, two } = await fleet(t, 2)
  const lease = leaseOf(await ask(one, 'fill-lease=60', { 'Cache-Groups': '"g"' }))
  t.match(await put(one, lease, 'x', { 'Cache-Groups': '"g", "h"' }), {
    status: 422,
    body: { detail: /^Cache-Groups: must be among/ },
  })
  const waiter = ask(two, 'fill-lease=60, wait=60')
  await eventually(async () => (await waiting(two)) === 1)
  await one.set('k', 'theirs')
  t.match(await waiter, { status: 200, text: '"theirs"' }, 'any entry ends the wait')
  t.match(await put(one, lease), { status: 412, body: { detail: 'Fill-Lease: there is an entry already' } })
})

t.test('a value that a trigger leaves out or renames is not stored, and its lease ends', async (t) => {
  const { one, two, query } = await fleet(t, 2)
  await query(`
    create function picky() returns trigger language plpgsql as $$
    begin
      if new.value = 'skipped' then return null; end if;
      if new.value = 'renamed' then new.key := 'other'; end if;
      return new;
    end $$;
    create trigger picky before insert or update on cache_entries for each row execute function picky()`)
  for (const value of ['skipped', 'renamed']) {
    const lease = leaseOf(await ask(one, 'fill-lease=60'))
    const waiter = ask(one, 'fill-lease=60, wait=60')
    await eventually(async () => (await waiting(one)) === 1)
    t.match(await put(one, lease, value), { status: 422, body: { type: /#not-stored$/ } }, value)
    const next = leaseOf(await waiter)
    t.ok(next, 'one of those who wait gets the next lease')
    t.match(await put(one, lease, 'text'), { status: 412 }, value)
    t.match(await put(two, next, 'text'), { status: 201 })
    const third = leaseOf(await ask(one, 'fill-lease=60'))
    t.equal(third, undefined, 'there is an entry')
    await one.delete('k')
  }
  await query(
    "insert into cache_entries (key, value, expires_at) values ('k', 'old', now() - interval '1 s')",
  )
  const lease = leaseOf(await ask(one, 'fill-lease=60'))
  t.match(await put(one, lease, 'skipped'), { status: 422 }, 'an entry that has expired is none')
  const another = leaseOf(await ask(one, 'fill-lease=60'))
  await two.set('k', 'theirs')
  t.match(await put(one, another), { status: 412, body: { detail: 'Fill-Lease: there is an entry already' } })
})

t.test('what is not a lease, and what cannot be combined, is refused', async (t) => {
  const { url } = await fleet(t, 1)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, requiresConditions: true })
  for (const prefer of [
    'fill-lease=0',
    'fill-lease=301',
    'fill-lease',
    'fill-lease=x',
    'fill-lease=1.5',
    'wait=1.5',
    'wait=-1',
  ])
    t.match(
      await ask(client, prefer),
      { status: 422, body: { detail: /^Prefer: (fill-lease|wait): must be a number of seconds/ } },
      prefer,
    )
  t.match(await ask(client, 'fill-lease=5', { 'Cache-Groups': 'g' }), { status: 422 })
  t.match(await put(client, 'x'), {
    status: 422,
    body: { detail: 'Fill-Lease: not one that this service gave out' },
  })
  const unknown = 'a'.repeat(22)
  t.match(await put(client, unknown, 'x', { 'If-None-Match': '*' }), {
    status: 422,
    body: { detail: /must not be combined/ },
  })
  t.match(await put(client, unknown), { status: 412 }, 'a lease is a condition')

  for (const prefer of ['respond-async', 'wait=5', 'x="fill-lease=5"', 'x; fill-lease=5'])
    t.notOk(leaseOf(await ask(client, prefer)), prefer)
  t.notOk(leaseOf(await ask(client, 'fill-lease=5', { 'If-Match': '*' })))
  for (const lease of ['', 'x'])
    t.match(await client.request('PUT', path, { raw: '1', headers: { 'Fill-Lease': lease } }), {
      status: 422,
    })
  const fromMemory = await ask(client, 'fill-lease=5', { 'Cache-Control': 'only-if-cached' })
  t.equal(fromMemory.status, 404, 'memory knows by now that there is no entry')
  t.notOk(leaseOf(fromMemory))
  t.notOk(leaseOf(await client.request('HEAD', path, { headers: { Prefer: 'fill-lease=5' } })))
  t.ok(leaseOf(await ask(client, 'x="a, fill-lease=7"; y, FILL-LEASE = "1" ;z=2, fill-lease=9')))
})

t.test('a wait ends when the client goes away, and at a shutdown', async (t) => {
  const { one, two, sidecars } = await fleet(t, 2)
  await ask(one, 'fill-lease=300')
  const agent = new Agent()
  const leaving = new JsonClient(two.base, agent).request('GET', path, {
    headers: { Prefer: 'fill-lease=9, wait=60' },
  })
  await eventually(async () => (await waiting(two)) === 1)
  agent.destroy()
  await t.rejects(leaving)
  await eventually(async () => (await waiting(two)) === 0)

  const staying = ask(two, 'fill-lease=9, wait=60')
  await eventually(async () => (await waiting(two)) === 1)
  await sidecars[1]?.sidecar.close()
  t.match(await staying, { status: 404, headers: { 'retry-after': /^\d+$/ } })
})

t.test('a crash of the server loses leases, and nothing else', async (t) => {
  const server = await ownServer(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: server.url(), databaseTimeoutMs: 2_000 })
  const lease = leaseOf(await ask(client, 'fill-lease=300'))
  await server.stop('immediate')
  t.match(await put(client, lease), { status: 503 }, 'never kept')
  t.equal((await client.stats()).writes.pending, 0)
  await server.start()
  const next = await eventually(async () => leaseOf(await ask(client, 'fill-lease=300')))
  t.match(await put(client, lease), { status: 412 })
  t.match(await put(client, next), { status: 201 })
})

t.test('a role without the rights gets 403 for leases, and reads and writes', async (t) => {
  const database = await cacheDatabase(t)
  const { name, url } = await guestOf(t, database)
  await database.query(`grant select, insert, update, delete on cache_entries to ${name}`)
  const { client } = await startLiveSidecar(t, { databaseUrl: url, migrate: false })
  t.match(await ask(client), { status: 403, body: { detail: /does not have the right/ } })
  t.match(await client.set('k', 1), { status: 200 })
  t.match(await ask(client), { status: 200 })
  t.match(await client.delete('k'), { status: 200, body: { db_removed: true } })
  t.match(await client.request('DELETE', path), { status: 404 })
  await database.query("insert into cache_leases (key, lease, ends_at) values ('k', 'x', 'infinity')")
  t.match(await client.delete('k'), { status: 403 }, 'it cannot revoke the lease')
  t.match(await client.request('DELETE', path), { status: 403 })
})
