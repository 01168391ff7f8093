import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { serve, untilLive } from '../support/child-process.js'
import { freshDatabase, ownServer } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'
import { type Answer, JsonClient } from '../support/json-client.js'

/** Upper bound in ms for any response: the timeouts of a connection and of a statement, and a wide margin. */
const boundMs = 15_000

/** Status codes that are allowed during an outage. */
function isInOrder(t: Test, { status, headers, text }: Answer): void {
  if (![200, 404, 503].includes(status)) t.fail(`answered ${status} ${text}`)
  if (status === 503 && !/^\d+$/.test(String(headers['retry-after']))) t.fail('503 without Retry-After')
}

t.test('PostgreSQL crashes under load and comes back', async (t) => {
  const server = await ownServer(t)
  const environment = {
    DATABASE_URL: server.url(),
    CACHE_MAX_STALENESS_MS: '1000',
    CACHE_CAPACITY: '100000',
    CACHE_TTL_SECONDS: '300',
  }
  const sidecars = await Promise.all([serve(t, environment), serve(t, environment)])
  await Promise.all(sidecars.map(untilLive))

  const held = Array.from({ length: 50 }, (_, number) => `held ${number}`)
  for (const key of held) await sidecars[0].client.set(key, 'before')
  for (const { client } of sidecars) for (const key of held) t.equal(await client.held(key), 'before')

  let slowestMs = 0
  let isOver = false
  const acknowledged = new Map<string, number>()
  const seen = { stale: 0, unavailable: 0, kept: 0 }
  const timed = async (answer: Promise<Answer>): Promise<Answer> => {
    const sentMs = performance.now()
    const received = await answer
    slowestMs = Math.max(slowestMs, performance.now() - sentMs)
    isInOrder(t, received)
    if (received.status === 503) seen.unavailable++
    if (received.body.stale === true) seen.stale++
    if (received.body.db_written === false) seen.kept++
    return received
  }
  const load = Promise.all(
    sidecars.flatMap(({ client: { base } }, number) =>
      Array.from({ length: 4 }, async (_, thread) => {
        const client = new JsonClient(base)
        for (let round = 0; !isOver; round++) {
          const key = `new ${number} ${thread} ${round}`
          const { status } = await timed(client.set(key, round))
          if (status === 200) acknowledged.set(key, round)
          const read = await timed(client.get(held[round % held.length] as string))
          if (read.status !== 200) t.fail(`what is held was answered with ${read.status}`)
          await timed(client.get(`never set ${number} ${thread} ${round}`))
          await timed(client.set(`shared ${round % 10}`, `${number} ${thread} ${round}`))
          if (round % 20 === 19) await timed(client.delete(`shared ${round % 10}`))
          await sleep(5)
        }
      }),
    ),
  )
  // It is awaited below, unless something else fails first.
  load.catch(() => {
    isOver = true
  })

  await eventually(() => acknowledged.size > 100)
  await server.stop('immediate')
  const before = { ...seen }
  await eventually(async () => {
    for (const sidecar of sidecars) if (sidecar.hasExited) throw new Error(`ended: ${sidecar.stderr}`)
    const stats = await Promise.all(sidecars.map(({ client }) => client.stats()))
    return (
      seen.stale > before.stale + 200 &&
      seen.unavailable > before.unavailable + 200 &&
      stats.every(({ writes, feed }) => writes.pending > 100 && feed.state === 'down')
    )
  })
  // Longer than the lease and several attempts to reconnect.
  await sleep(3_000)
  await server.start()
  const acknowledgedBefore = acknowledged.size
  await Promise.all(sidecars.map(untilLive))
  await eventually(() => acknowledged.size > acknowledgedBefore + 50)
  isOver = true
  await load
  t.ok(slowestMs < boundMs, `no answer took longer than ${boundMs} ms`)
  t.comment(`slowest answer ${Math.round(slowestMs)} ms`, seen, `${acknowledged.size} writes`)

  for (const { client } of sidecars) {
    await eventually(async () => (await client.stats()).writes.pending === 0)
  }
  const database = new pg.Client({ connectionString: server.url() })
  await database.connect()
  t.teardown(() => database.end())
  const { rows } = await database.query<{ key: string; value: string }>(
    'select key, value from cache_entries',
  )
  const stored = new Map(rows.map(({ key, value }) => [key, value]))
  const lost = [...acknowledged].filter(([key, value]) => stored.get(key) !== String(value))
  t.same(lost, [], 'every acknowledged write got there, the kept ones too')

  for (const { client } of sidecars) {
    const wrong: string[] = []
    const some = [...acknowledged.keys()].filter((_, index) => index % 10 === 0)
    for (const key of [...held, ...some]) {
      if (String(await client.value(key)) !== stored.get(key)) wrong.push(key)
    }
    t.same(wrong, [], 'the sidecar agrees with the database')
    for (let number = 0; number < 10; number++) {
      const key = `shared ${number}`
      await eventually(async () => (await client.value(key)) === stored.get(key))
    }
    const stats = await client.stats()
    t.ok(stats.feed.losses >= 1, 'the loss of the feed was noticed')
    t.equal(stats.feed.flushes, 0, 'it is the same history')
  }
  await database.query("update cache_entries set value = 'after' where key like 'held %'")
  for (const { client } of sidecars) {
    for (const key of held) await eventually(async () => (await client.value(key)) === 'after')
  }
})

t.test('a sidecar starts without a database, which comes later', async (t) => {
  const server = await ownServer(t)
  await server.stop('fast')
  const sidecar = await serve(t, { DATABASE_URL: server.url() })
  t.match((await sidecar.client.get('foo')).status, 503)
  t.strictSame((await sidecar.client.set('early', 'bird')).body, { ok: true, db_written: false })
  t.match((await sidecar.client.get('early')).body, { value: 'bird', source: 'cache', stale: true })
  await server.start()
  await untilLive(sidecar)
  await eventually(async () => (await sidecar.client.stats()).writes.pending === 0)
  const fresh = await serve(t, { DATABASE_URL: server.url() })
  t.strictSame((await fresh.client.get('early')).body, { key: 'early', value: 'bird', source: 'db' })
  t.match((await sidecar.client.set('later', 1)).body, { ok: true, db_written: true })
  t.equal((await sidecar.client.get('foo')).status, 404)
})

t.test('a pending write does not overwrite a change made by SQL', async (t) => {
  const database = await freshDatabase(t)
  const { query } = database
  const guest = await guestOf(t, database)
  const sidecar = await serve(t, { DATABASE_URL: guest.url })
  const { client } = sidecar
  await untilLive(sidecar)
  for (const key of ['changed', 'removed', 'same', 'dropped', 'dropped too']) {
    await client.set(key, 'before')
    await client.held(key)
  }
  await guest.shutOut()
  await eventually(async () => (await client.set('changed', 'kept')).body.db_written === false)
  for (const key of ['removed', 'same', 'new', 'taken']) {
    t.strictSame((await client.set(key, 'kept')).body, { ok: true, db_written: false })
    t.match((await client.get(key)).body, { value: 'kept', source: 'cache', stale: true })
  }
  for (const key of ['dropped', 'dropped too']) {
    t.match((await client.delete(key)).body, { cache_removed: true, db_removed: false })
    t.equal((await client.get(key)).status, 404)
  }
  await query("update cache_entries set value = 'by SQL' where key in ('changed', 'dropped too')")
  await query("delete from cache_entries where key = 'removed'")
  await query("insert into cache_entries (key, value) values ('taken', 'by SQL')")
  await guest.letIn()
  await untilLive(sidecar)

  const expected = { changed: 'by SQL', 'dropped too': 'by SQL', new: 'kept', same: 'kept', taken: 'by SQL' }
  const { rows } = await query<{ key: string; value: string }>(
    'select key, value from cache_entries order by key collate "C"',
  )
  t.strictSame(Object.fromEntries(rows.map(({ key, value }) => [key, value])), expected)
  t.match((await client.stats()).writes, { pending: 0, pending_settled: 3, pending_conflicts: 4 })
  t.equal(sidecar.log.filter(({ msg }) => /given up/.test(String(msg))).length, 4, 'each conflict is logged')
  for (const key of ['changed', 'removed', 'same', 'new', 'taken', 'dropped', 'dropped too']) {
    const { body } = await client.get(key)
    t.strictSame([body.value, body.stale], [(expected as Record<string, string>)[key], undefined], key)
  }
})
