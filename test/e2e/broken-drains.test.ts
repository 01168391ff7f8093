/** P17: what becomes of a drain whose sidecar is killed or frozen, and of the keys that it has deleted. */

import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { type Served, serve, untilLive } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { isHit } from '../support/held-answers.js'

/** So long that no probe times out. The feed would then begin anew, and find the change without an announcement. */
const patientMs = 10_000
/** So short that a test can wait for it to pass. */
const boundMs = 1_000

/**
 * Starts two sidecars, and changes a row. Resolves when the drain of `broken` waits to delete the key from the outbox,
 * until `holder` rolls back, and the drain of `other` waits behind it.
 */
async function drainUnderWay(t: Test, maxStalenessMs: number) {
  const database = await cacheDatabase(t)
  await database.query(`
    create table item (id int primary key, v text);
    insert into item select n, 'old' from generate_series(1, 9) n;
    select cache_bind('item', key => 'item:{id}')`)
  // Another role, by which the server's processes tell the two sidecars apart.
  const role = `broken_${process.pid}_${Date.now()}`
  await database.query(`create role ${role} superuser login`)
  t.teardown(() => database.query(`drop role ${role}`))
  const [broken, other] = (await Promise.all(
    [Object.assign(new URL(database.url), { username: role }).href, database.url].map((url) =>
      serve(t, { DATABASE_URL: url, CACHE_MAX_STALENESS_MS: String(maxStalenessMs), CACHE_TTL_SECONDS: '0' }),
    ),
  )) as [Served, Served]
  await Promise.all([broken, other].map(untilLive))

  const heard: string[] = []
  const [holder, listener] = (await Promise.all(
    ['holder', 'listener'].map(async (name) => {
      const client = new pg.Client({ connectionString: database.url, application_name: name })
      await client.connect()
      t.teardown(() => client.end())
      return client
    }),
  )) as [pg.Client, pg.Client]
  listener.on('notification', ({ payload = '' }) => heard.push(payload))
  const { rows } = await listener.query<{ channel: string }>(
    "select cache_channel('public', 'cache_entries') as channel",
  )
  await listener.query(`listen ${rows[0]?.channel}`)

  const waiting = async () => {
    const { rows } = await database.query<{ pid: number; usename: string; wait_event: string }>(
      `select pid, usename, wait_event from pg_stat_activity
       where application_name = 'caching-layer outbox' and datname = current_database() and wait_event_type = 'Lock'`,
    )
    return { first: rows.find(({ wait_event }) => wait_event === 'transactionid'), count: rows.length }
  }
  let round = 0
  const pid = await eventually(async () => {
    for (const { client } of [broken, other]) await eventually(async () => isHit(await client.get('item:1')))
    await database.query('update item set v = $1 where id = 1', [`new ${++round}`])
    await holder.query('begin')
    const { rowCount } = await holder.query('select from cache_outbox for update')
    // Otherwise a drain was faster.
    if (rowCount === 1) {
      const found = await eventually(async () => {
        const found = await waiting()
        return found.count === 2 ? found : undefined
      })
      await listener.query('select')
      heard.length = 0
      if (found?.first?.usename === role) return found.first.pid
    }
    await holder.query('rollback')
    return undefined
  })
  const announced = async () => {
    await listener.query('select')
    return heard.filter((payload) => payload.includes('item:1')).length
  }
  return { database, broken, other, holder, pid, now: `new ${round}`, announced }
}

/** Resolves when the sidecar answers from memory, and requires that it has this value then. */
async function holds(t: Test, { client }: Served, key: string, v: string): Promise<void> {
  await eventually(async () => ((await client.value(key)) as { v: string }).v === v)
  const answer = await eventually(async () => {
    const answer = await client.get(key)
    return isHit(answer) ? answer : undefined
  })
  t.match(answer?.body.value, { v })
}

t.test('a sidecar is killed, and the server completes its drain', async (t) => {
  const { database, broken, other, holder, now, announced } = await drainUnderWay(t, patientMs)
  broken.kill('SIGKILL')
  await broken.exited
  t.equal(await announced(), 0)
  await holder.query('rollback')
  await holds(t, other, 'item:1', now)
  t.equal(await announced(), 1)
  await database.query("update item set v = 'later' where id = 2")
  await holds(t, other, 'item:2', 'later')
})

t.test('a sidecar is killed, and the server notices that before its drain has ended', async (t) => {
  const { database, broken, other, holder, pid, now, announced } = await drainUnderWay(t, patientMs)
  broken.kill('SIGKILL')
  await broken.exited
  await database.query('select pg_terminate_backend($1)', [pid])
  await eventually(
    async () => (await database.query('select from pg_stat_activity where pid = $1', [pid])).rowCount === 0,
  )
  t.equal(await announced(), 0)
  await holder.query('rollback')
  await holds(t, other, 'item:1', now)
  t.equal(await announced(), 1)
})

t.test('a sidecar is frozen during its drain, and goes on', async (t) => {
  const { database, broken, other, holder, now, announced } = await drainUnderWay(t, boundMs)
  broken.kill('SIGSTOP')
  await holder.query('rollback')
  await holds(t, other, 'item:1', now)
  t.equal(await announced(), 1)
  await database.query("update item set v = 'later' where id in (1, 2)")
  await holds(t, other, 'item:2', 'later')
  // What the frozen sidecar holds is too old to be served when it goes on.
  await sleep(boundMs + 200)
  broken.kill('SIGCONT')
  t.match((await broken.client.get('item:1')).body.value, { v: 'later' })
  await holds(t, broken, 'item:1', 'later')
  await holds(t, broken, 'item:2', 'later')
})
