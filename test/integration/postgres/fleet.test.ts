/** The list of sidecars: who writes it, how often, and what it says of a sidecar that is idle or gone. */
import { randomUUID } from 'node:crypto'
import t, { type Test } from 'tap'
import type { MemberState } from '../../../src/core/state/fleet-member.js'
import { FleetMembership, type FleetMembershipParts } from '../../../src/postgres/fleet/fleet-membership.js'
import { heartbeatStatement } from '../../../src/postgres/fleet/fleet-statements.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { cacheDatabase } from '../../support/database.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { eventually } from '../../support/eventually.js'
import { guestOf } from '../../support/guest.js'
import { memberState as state } from '../../support/member-state.js'
import { recordingLog } from '../../support/recording-log.js'

const own = await cacheDatabase(t)
const { url, query } = own

t.beforeEach(async () => {
  await query('truncate cache_sidecars')
})

const intervalMs = 20
/** More than the interval and its spread. */
const nextMs = 2 * intervalMs

function databaseOf(t: Test, from = url): Database {
  const database = new Database({ url: from, poolSize: 2, timeoutMs: 10_000, log: recordingLog().log })
  t.teardown(() => database.close())
  return database
}

/** Starts a membership whose clock the test moves. It counts its statements, and its looks at whether one is due. */
function memberOf(t: Test, parts: Partial<FleetMembershipParts> = {}, from = url) {
  const { log, logged } = recordingLog()
  const database = databaseOf(t, from)
  const clock = new DrivenClock()
  const counts = { looks: 0, reads: 0, writes: 0, isIdle: false }
  const member = new FleetMembership(
    { intervalMs },
    {
      database: {
        read: (...args) => {
          counts.reads++
          return database.read(...args)
        },
        write: (...args) => {
          counts.writes++
          return database.write(...args)
        },
      },
      schema: new SchemaName(database),
      clock,
      log,
      self: () => state,
      status: () => state.status,
      idleInMs: () => Number.POSITIVE_INFINITY,
      isIdle: () => {
        counts.looks++
        return counts.isIdle
      },
      ...parts,
    },
  )
  t.teardown(() => member.close())
  member.start()
  /** Resolves after so many further looks. */
  const looked = async (times = 3) => {
    const looks = counts.looks + times
    await eventually(() => counts.looks >= looks)
  }
  return { member, clock, counts, logged, looked }
}

const rows = async () => (await query('select * from cache_sidecars order by host')).rows

/** Writes the row of another sidecar, with times in seconds from now. */
const insert = (host: string, { due = 60, expires = 300, mayBeIdle = false } = {}) =>
  query(
    `insert into cache_sidecars (sidecar, version, host, started_at, status, reads_per_second, entries, seen_at,
       due_at, may_be_idle, expires_at)
     values ($1, '1', $2, now() - interval '1 hour', 'degraded', 0, 0, now() - interval '1 minute',
       now() + make_interval(secs => $3), $4, now() + make_interval(secs => $5))`,
    [randomUUID(), host, due, mayBeIdle, expires],
  )

t.test('a sidecar is in the list of its fleet, with its state', async (t) => {
  const { member } = memberOf(t)
  const other = memberOf(t, {
    self: () => ({ ...state, host: 'pod-b', status: 'degraded', hitRatio: null }),
    status: () => 'degraded',
  })
  await eventually(async () => (await rows()).length === 2)
  const { members, obstacle } = await other.member.fleet()
  t.equal(obstacle, undefined)
  t.match(members, [
    { ...state, upMs: Number, isSelf: false },
    { host: 'pod-b', status: 'degraded', hitRatio: null, isSelf: true },
  ])
  t.ok(members.every(({ seenMsAgo }) => seenMsAgo >= 0))
  await member.close()
  t.match(await rows(), [{ host: 'pod-b' }], 'one that ends leaves the list')
})

t.test('another status is announced before the interval is over', async (t) => {
  let status: MemberState['status'] = 'unready'
  const { counts, looked } = memberOf(t, { self: () => ({ ...state, status }), status: () => status })
  await eventually(async () => (await rows()).length === 1)
  status = 'ready'
  await eventually(async () => (await rows())[0]?.status === 'ready')
  const { writes } = counts
  await looked()
  t.equal(counts.writes, writes, 'and once')
})

t.test('it writes once in each interval', async (t) => {
  const { clock, counts, looked } = memberOf(t)
  await eventually(() => counts.writes === 1)
  await looked()
  t.equal(counts.writes, 1)
  clock.advance(nextMs)
  await eventually(() => counts.writes === 2)
  await looked()
  t.equal(counts.writes, 2)
  const { rows } = await query('select from cache_sidecars')
  t.equal(rows.length, 1)
})

t.test('a sidecar that is not seen is silent, or idle if it has said so, and goes in the end', async (t) => {
  await insert('gone', { due: -600, expires: -1 })
  await insert('idle', { due: -600, expires: 600, mayBeIdle: true })
  await insert('late', { due: -600 })
  await insert('seen')
  const { member } = memberOf(t)
  await eventually(async () => !(await rows()).some(({ host }) => host === 'gone'))
  const { members } = await member.fleet()
  t.same(
    members.map(({ host, status }) => [host, status]),
    [
      ['idle', 'idle'],
      ['late', 'silent'],
      ['pod-a', 'ready'],
      ['seen', 'degraded'],
    ],
  )
})

t.test('an idle sidecar sends nothing, and has said before that it may be idle', async (t) => {
  const { member, clock, counts, looked } = memberOf(t, { idleInMs: () => intervalMs })
  await eventually(() => counts.writes === 1)
  await eventually(async () => (await rows()).length === 1)
  const before = await member.fleet()
  counts.isIdle = true
  const { reads } = counts
  clock.advance(86_400_000)
  await looked()
  t.match(await member.fleet(), { obstacle: 'idle', members: before.members })
  await member.close()
  t.match(counts, { writes: 1, reads })
  await query("update cache_sidecars set due_at = now() - interval '1 s'")
  const other = memberOf(t, { self: () => ({ ...state, host: 'pod-b' }) })
  await eventually(async () => (await rows()).length === 2)
  t.match(await other.member.fleet(), { members: [{ host: 'pod-a', status: 'idle' }, { host: 'pod-b' }] })
  const { rows: kept } = await query(
    "select expires_at > now() + interval '23 hours' as kept from cache_sidecars where host = 'pod-a'",
  )
  t.same(kept, [{ kept: true }], 'for a day')
})

t.test('a role that may not write the list goes on without it, and says so once', async (t) => {
  const database = await cacheDatabase(t)
  const guest = await guestOf(t, database)
  const { member, clock, counts, logged, looked } = memberOf(t, {}, guest.url)
  await eventually(() => logged.length === 1)
  for (let times = 0; times < 3; times++) {
    clock.advance(nextMs)
    const { reads } = counts
    await eventually(() => counts.reads > reads)
  }
  await looked()
  t.match(logged, [
    {
      level: 'info',
      fields: { reason: /may not select, insert, update and delete in cache_sidecars/ },
      message: 'this sidecar is not in the list of the fleet',
    },
  ])
  t.equal(logged.length, 1)
  t.equal(counts.writes, 0, 'nothing fails in the log of the server')
  t.match(await member.fleet(), { obstacle: 'failed', members: { length: 0 } })
  await database.query(`grant usage on schema public to ${guest.name}`)
  await database.query(`grant select, insert, update, delete on cache_sidecars to ${guest.name}`)
  clock.advance(nextMs)
  await eventually(async () => (await database.query('select from cache_sidecars')).rows.length === 1)
  await database.query(`revoke insert on cache_sidecars from ${guest.name}`)
  // Again and again, because it may not wait for the clock yet.
  await eventually(() => {
    clock.advance(nextMs)
    return counts.writes === 2
  })
  for (let times = 0; times < 3; times++) {
    const { reads } = counts
    await eventually(() => {
      clock.advance(nextMs)
      return counts.reads > reads
    })
  }
  t.equal(counts.writes, 2, 'a right that is lost fails once')
})

t.test('before the migration, it says so', async (t) => {
  const database = await cacheDatabase(t)
  await database.query('drop table cache_sidecars')
  const { logged } = memberOf(t, {}, database.url)
  await eventually(() => logged.length === 1)
  t.match(logged, [{ fields: { reason: 'sql/0014_fleet.sql is not applied' } }])
})

t.test('with an interval of 0, it sends nothing until it gets another one', async (t) => {
  const { member, counts } = memberOf(t)
  await eventually(() => counts.writes === 1)
  member.reconfigure({ intervalMs: 0 })
  t.same(await member.fleet(), { members: [], obstacle: 'off' })
  member.reconfigure({ intervalMs })
  await eventually(() => counts.writes === 2)
})

t.test('heartbeats of sidecars whose rows have all expired do not wait for each other', async (t) => {
  const database = new Database({ url, poolSize: 10, timeoutMs: 10_000, log: recordingLog().log })
  t.teardown(() => database.close())
  const sidecars = Array.from({ length: 10 }, () => randomUUID())
  for (let round = 0; round < 20; round++) {
    const beat = (sidecar: string) =>
      database.write(heartbeatStatement('public'), [
        sidecar,
        ...['1', sidecar, null, null, 0, 'ready', 0, null, 0, 0],
        ...[1, false, 1],
      ])
    await Promise.all(sidecars.map(beat))
    await query("update cache_sidecars set expires_at = now() - interval '1 s'")
  }
  t.same(Object.fromEntries(database.errorCounts), {})
})
