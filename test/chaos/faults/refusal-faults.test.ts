import pg from 'pg'
import t, { type Test } from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { ownServer } from '../../support/database.js'
import { type Fleet, guest, type Member } from '../fleet/fleet.js'
import type { Spell } from '../oracle/spell.js'
import { fullDisk, type RefusalParts, readOnlyServer, rightsRevoked, rowRefused } from './refusal-faults.js'
import type { FaultKind } from './schedule.js'

/**
 * Carries the fault out on a real server. Whenever it pauses, the statement is sent as the role of a sidecar. Returns
 * the SQLSTATEs of these attempts, `done` for success, the same of one more attempt at the end, and how many spells
 * were announced.
 */
async function carryOut(
  t: Test,
  fault: (parts: RefusalParts) => Promise<void>,
  { kind, choice = 0 }: { kind: FaultKind; choice?: number },
  statement: string,
): Promise<{ readonly states: readonly string[]; readonly after: string; readonly denials: number }> {
  const server = await ownServer(t)
  await migrate(server.url())
  const connect = async (user: string) => {
    const client = new pg.Client({
      connectionString: Object.assign(new URL(server.url()), { username: user }).href,
    })
    await client.connect()
    return client
  }
  const admin = await connect('postgres')
  await admin.query(`create role ${guest} login`)
  await admin.query(`grant select, insert, update, delete on cache_entries to ${guest}`)
  const stateOf = async () => {
    const client = await connect(guest)
    try {
      await client.query(statement)
      return 'done'
    } catch (error) {
      return (error as pg.DatabaseError).code ?? ''
    } finally {
      await client.end()
    }
  }
  t.teardown(() => admin.end())
  const states: string[] = []
  const spells: Spell[] = []
  const member = {
    sidecar: { name: 'sidecar-1' },
    proxy: { bar: () => undefined, unbar: () => undefined },
  } as unknown as Member
  await fault({
    fleet: {
      members: [],
      administer: async (sql: string) => (await admin.query(sql)).rows,
      asOwner: async (work: (client: pg.Client) => Promise<void>) => work(admin),
    } as unknown as Fleet,
    observer: { look: async () => ({ writes: { pending: 0 } }) },
    recorder: { denies: (_denial: unknown, spell: Spell) => spells.push(spell) },
    bound: { recorder: { denies: () => undefined } },
    recovery: { untilBack: async () => undefined },
    workload: { writeKey: async () => undefined, writeOnce: async () => undefined },
    fault: { kind, choice, durationMs: 10, atMs: 0, target: 0 },
    member,
    healed: () => undefined,
    pause: async () => {
      states.push(await stateOf())
    },
  } as unknown as RefusalParts)
  for (const spell of spells) t.equal(spell.covers(performance.now(), performance.now()), 'no', 'it is over')
  return { states, after: await stateOf(), denials: spells.length }
}

const insert = (key: string) =>
  `insert into cache_entries (key, value) values ('${key}', '')
   on conflict (key) do update set value = excluded.value`

t.test('a read-only server refuses writes until it is writable again', async (t) => {
  const result = await carryOut(t, readOnlyServer, { kind: 'read-only server' }, insert('k'))
  t.match(result, { states: ['25006'], after: 'done' })
})

t.test('a full disk refuses writes until there is space', async (t) => {
  const result = await carryOut(t, fullDisk, { kind: 'full disk' }, insert('k'))
  t.match(result, { states: ['53100'], after: 'done' })
})

t.test('rights are revoked and granted, twice', async (t) => {
  const writing = await carryOut(t, rightsRevoked, { kind: 'rights revoked' }, insert('k'))
  t.match(writing, { states: ['42501', 'done', '42501'], after: 'done', denials: 2 })
  const reading = await carryOut(
    t,
    rightsRevoked,
    { kind: 'rights revoked', choice: 0.3 },
    'select from cache_entries',
  )
  t.match(reading, { states: ['42501', 'done', '42501'], after: 'done' })
})

t.test('one row is refused, and its neighbours are not', async (t) => {
  const guilty = await carryOut(t, rowRefused, { kind: 'row refused' }, insert('k00'))
  t.match(guilty, { states: ['23514'], after: 'done', denials: 1 })
  const innocent = await carryOut(t, rowRefused, { kind: 'row refused' }, insert('k01'))
  t.match(innocent, { states: ['done'], after: 'done' })
})
