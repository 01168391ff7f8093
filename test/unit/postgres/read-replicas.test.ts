import t, { type Test } from 'tap'
import type { Database } from '../../../src/postgres/pool/database.js'
import { ReadReplicas } from '../../../src/postgres/replicas/read-replicas.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { recordingLog } from '../../support/recording-log.js'

interface Standby {
  server: string
  epoch: string | null
  replayed: string | null
}

/** A replica whose state the test changes, and what it was asked. */
function replicaWith(state: Partial<Standby> = {}) {
  const replica = { server: 'one', epoch: 'e', replayed: '100' as string | null, ...state }
  const asked = { count: 0, closed: 0, rows: [{}] as readonly object[], onAsked: () => undefined as unknown }
  const read = async () => {
    asked.count++
    asked.onAsked()
    return asked.rows.map((row) => ({ ...replica, ...row }))
  }
  const close = async () => void asked.closed++
  return { database: { read, close } as unknown as Database, replica, asked }
}

function replicasOf(
  t: Test,
  databases: readonly Database[],
  primaryRows: readonly object[] = [{ epoch: 'e', bytes: '100' }],
) {
  const { log, logged } = recordingLog()
  const clock = new DrivenClock()
  const replicas = new ReadReplicas({
    primary: { read: async () => primaryRows } as unknown as Database,
    replicas: databases,
    schema: { get: () => 'public' },
    clock,
    log,
    maxReadBytes: 1_000,
  })
  t.teardown(() => replicas.close())
  return { replicas, logged, clock }
}

const position = { epoch: 'e', bytes: 100n }
const none = { key: 'k', version: null, value: null, withheld: null, expires: null, content_type: null }
const usable = { level: 'info', fields: {}, message: 'fills are read from a replica' }
const unusable = (reason: string) => ({
  level: 'info',
  fields: { reason },
  message: 'fills are read from the primary: no replica can be used',
})

t.test(
  'a replica that has replayed the position of the primary is used, and that is logged once',
  async (t) => {
    const { database } = replicaWith()
    const { replicas, logged } = replicasOf(t, [database])
    t.same(await replicas.catchUp(), position)
    await replicas.catchUp()
    t.strictSame(logged, [usable])
  },
)

t.test('a replica that is behind is waited for', async (t) => {
  const { database, replica, asked } = replicaWith({ replayed: '99' })
  const { replicas } = replicasOf(t, [database])
  asked.onAsked = () => {
    if (asked.count === 3) replica.replayed = '100'
  }
  t.same(await replicas.catchUp(), position)
  t.equal(asked.count, 3)
})

t.test('a replica that stays behind for 5 s is not used, and the log says why', async (t) => {
  for (const [state, reason] of [
    [{ replayed: '99' }, 'the replica is more than 5 s behind'],
    [{ replayed: null }, 'the replica is more than 5 s behind'],
    [{ epoch: 'another' }, 'the replica follows another history than the primary'],
  ] as const) {
    const { database, asked } = replicaWith(state)
    const { replicas, logged, clock } = replicasOf(t, [database])
    asked.onAsked = () => clock.advance(asked.count === 1 ? 5_000 : 1)
    await t.rejects(replicas.catchUp(), { message: reason })
    t.equal(asked.count, 2)
    t.strictSame(logged, [unusable(reason)])
  }
})

t.test('what cannot be a replica is not used', async (t) => {
  const primary = replicaWith({ epoch: null })
  await t.rejects(replicasOf(t, [primary.database]).replicas.catchUp(), {
    message: 'DATABASE_READ_URL leads to a server that is not a standby',
  })
  const silent = replicaWith()
  silent.asked.rows = []
  await t.rejects(replicasOf(t, [silent.database]).replicas.catchUp(), {
    message: 'the replica returned no row',
  })
  const { replicas, logged } = replicasOf(t, [replicaWith().database], [])
  await t.rejects(replicas.catchUp(), { message: 'the primary returned no row' })
  t.strictSame(logged, [], 'which says nothing about the replica')
})

t.test('after a failure the next replica is tried, and a reason is logged when it is another', async (t) => {
  const all = [replicaWith({ epoch: null }), replicaWith({ epoch: null }), replicaWith({ epoch: null })]
  const { replicas, logged } = replicasOf(
    t,
    all.map(({ database }) => database),
  )
  for (const _one of all) await t.rejects(replicas.catchUp())
  t.strictSame(
    all.map(({ asked }) => asked.count),
    [1, 1, 1],
  )
  t.equal(logged.length, 1)
  for (const { replica } of all) replica.epoch = 'e'
  await replicas.catchUp()
  for (const { replica } of all) replica.epoch = null
  await t.rejects(replicas.catchUp())
  const reason = 'DATABASE_READ_URL leads to a server that is not a standby'
  t.strictSame(logged, [unusable(reason), usable, unusable(reason)])
})

t.test('rows count only from a server that was seen to have replayed the position before', async (t) => {
  const { database, replica, asked } = replicaWith()
  const { replicas } = replicasOf(t, [database])
  asked.rows = [none]
  const refused = { message: /^not the server that had replayed enough/ }
  await t.rejects(replicas.read([{ key: 'k' }], position), refused, 'it was not seen before')
  t.same((await replicas.read([{ key: 'k' }], position)).get('k'), { entry: undefined })
  await t.rejects(replicas.read([{ key: 'k' }], { ...position, bytes: 101n }), refused)
  await t.rejects(replicas.read([{ key: 'k' }], { ...position, epoch: 'another' }), refused)
  replica.server = 'another'
  await t.rejects(replicas.read([{ key: 'k' }], position), refused)
})

t.test('an entry is read, and one that expires is left to the primary', async (t) => {
  const { database, asked } = replicaWith()
  const { replicas } = replicasOf(t, [database])
  await replicas.catchUp()
  asked.rows = [
    { ...none, key: 'a', version: '7', value: 'text', expires: false },
    { ...none, key: 'b', version: '8', expires: true },
  ]
  const answers = await replicas.read([{ key: 'a' }, { key: 'b' }], position)
  t.match(answers.get('a'), { entry: { key: 'a', version: '7', value: '"text"', remainingMs: undefined } })
  t.notOk(answers.has('b'))
})

t.test('servers behind one URL are remembered, sixteen of them', async (t) => {
  const { database, replica, asked } = replicaWith()
  const { replicas } = replicasOf(t, [database])
  const isKnown = (server: string) => {
    replica.server = server
    asked.rows = [none]
    return replicas.read([{ key: 'k' }], position).then(
      () => true,
      () => false,
    )
  }
  for (let count = 1; count <= 16; count++) await isKnown(`server ${count}`)
  t.equal(await isKnown('server 1'), true)
  await isKnown('server 17')
  t.equal(await isKnown('server 1'), false, 'they are forgotten together')
})

t.test('replicas that are closed are not waited for, and nothing is logged any more', async (t) => {
  const { database, asked } = replicaWith({ replayed: '99' })
  const { replicas, logged } = replicasOf(t, [database])
  asked.onAsked = () => void replicas.close()
  await t.rejects(replicas.catchUp(), { name: 'AbortError' })
  t.strictSame(logged, [])
  t.ok(asked.closed > 0)
})
