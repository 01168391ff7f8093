/** Tests of P13 on a real standby that streams from a real primary. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import type { LogPosition } from '../../../src/core/ports.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { ReadReplicas } from '../../../src/postgres/replicas/read-replicas.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { examine } from '../../../src/tools/doctor/doctor.js'
import type { Finding } from '../../../src/tools/doctor/finding.js'
import { ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { FaultProxy } from '../../support/fault-proxy.js'
import type { JsonClient } from '../../support/json-client.js'
import { recordingLog } from '../../support/recording-log.js'
import { startLiveSidecar } from '../../support/sidecar.js'
import { streamingStandbyOf } from '../../support/streaming-standby.js'

const maxStalenessMs = 2_000

const primary = await ownServer(t)
const standby = await streamingStandbyOf(t, primary)
const pool = new pg.Pool({ connectionString: primary.url(), max: 2 })
pool.on('error', () => {})
t.teardown(() => pool.end())

const put = (key: string, value: number) =>
  pool.query(
    `insert into cache_entries (key, value) values ($1, $2) on conflict (key) do update
       set value = excluded.value, content_type = null`,
    [key, value],
  )

/** Starts a sidecar that holds a single entry, so that nearly every read is a fill. */
async function forgetful(t: Test, readUrls: readonly string[] = [standby.url()]) {
  const options = { databaseUrl: primary.url(), databaseReadUrls: readUrls, maxStalenessMs, capacity: 1 }
  const { client, log } = await startLiveSidecar(t, options)
  return { client, log }
}

async function replicaOf(client: JsonClient) {
  const { replica } = await client.stats()
  if (replica === undefined) throw new Error('there is no replica')
  return replica
}

/** Returns true if the replica answered the read. */
async function isReadFromReplica(client: JsonClient, key: string): Promise<boolean> {
  await client.get('something else')
  const { fills } = await replicaOf(client)
  await client.get(key)
  return (await replicaOf(client)).fills === fills + 1
}

async function replayIs(state: 'paused' | 'not paused'): Promise<void> {
  await standby.query(`select pg_wal_replay_${state === 'paused' ? 'pause' : 'resume'}()`)
  await eventually(async () => {
    const [row] = await standby.query<{ state: string }>('select pg_get_wal_replay_pause_state() as state')
    return row?.state === state
  })
}

/** Its receiver of the log has begun, which makes it another one for who reads from it. */
async function streams(): Promise<void> {
  await eventually(async () => {
    const receivers = await standby.query("select pid from pg_stat_wal_receiver where status = 'streaming'")
    return receivers.length > 0
  })
}

t.test('fills are read from a standby, strong reads and reads with a token from the primary', async (t) => {
  const { client, log } = await forgetful(t)
  await client.set('something else', 0)
  const { token } = (await client.set('k', 1)).body
  await eventually(() => isReadFromReplica(client, 'k'))
  t.equal(await client.value('k'), 1)
  t.equal(await client.value('not there'), undefined)
  t.equal((await replicaOf(client)).usable, true)
  t.ok(log.some((line) => line.includes('fills are read from a replica')))

  await client.get('something else')
  const { fills } = await replicaOf(client)
  await client.request('GET', '/cache/get?key=k&consistency=strong')
  const elsewhere = {
    headers: { 'Cache-Token': String(token).replace(/.$/, (last) => (last === '0' ? '1' : '0')) },
  }
  await client.request('GET', '/cache/get?key=k', elsewhere)
  t.equal((await replicaOf(client)).fills, fills)
})

t.test('a changed key is not read from a standby that has not replayed the change', async (t) => {
  const { client } = await forgetful(t)
  await put('something else', 0)
  await put('still', 1)
  await put('k', 1)
  await eventually(() => isReadFromReplica(client, 'k'))
  await eventually(() => isReadFromReplica(client, 'still'))

  await replayIs('paused')
  t.teardown(() => replayIs('not paused'))
  await put('k', 2)
  await eventually(async () => (await client.value('k')) === '2')
  for (let read = 0; read < 50; read++) {
    await client.get('still')
    if ((await client.value('k')) !== '2') t.fail('an older value came back')
  }
  t.equal((await replicaOf(client)).usable, true, 'and what has not changed still is')

  await replayIs('not paused')
  await eventually(() => isReadFromReplica(client, 'k'))
  t.equal(await client.value('k'), '2')
})

t.test('a standby that is always behind is visible only within the staleness bound', async (t) => {
  await standby.query("alter system set recovery_min_apply_delay = '400ms'")
  await standby.query('select pg_reload_conf()')
  t.teardown(async () => {
    await standby.query('alter system reset recovery_min_apply_delay')
    await standby.query('select pg_reload_conf()')
  })
  const { client } = await forgetful(t)
  // So many that most are neither changed nor read within the time that it is behind.
  const keys = Array.from({ length: 2_000 }, (_, index) => `behind ${index}`)
  await pool.query('insert into cache_entries (key, value) select unnest($1::text[]), 0', [keys])
  /** Moments by which each value was certainly committed, by key. */
  const committedMs = new Map<string, number[]>(keys.map((key) => [key, [performance.now()]]))
  let isOver = false
  const writing = (async () => {
    for (let count = 0; !isOver; count++) {
      const key = keys[count % keys.length] as string
      const times = committedMs.get(key) as number[]
      await put(key, times.length)
      times.push(performance.now())
    }
  })()
  let reads = 0
  const reading = async () => {
    while (!isOver) {
      const key = keys[Math.floor(Math.random() * keys.length)] as string
      const askedMs = performance.now()
      const value = Number(await client.value(key))
      reads++
      const nextMs = committedMs.get(key)?.[value + 1]
      if (nextMs !== undefined && nextMs < askedMs - maxStalenessMs) {
        t.fail(`${key} was ${value}, ${Math.round(askedMs - nextMs)} ms after it was another`)
      }
    }
  }
  const readers = [reading(), reading(), reading()]
  const fills = async () => (await replicaOf(client)).fills
  await eventually(async () => (await fills()) > 200)
  await replayIs('paused')
  // Longer than the bound: time itself is what is tried.
  await sleep(maxStalenessMs + 1_000)
  const held = await fills()
  await replayIs('not paused')
  await eventually(async () => (await fills()) > held + 200)
  await eventually(() => reads > 1_000)
  isOver = true
  await Promise.all([writing, ...readers])

  const isLatest = async (key: string) =>
    (await client.value(key)) === String((committedMs.get(key) as number[]).length - 1)
  for (const key of keys) await eventually(() => isLatest(key))
  for (const key of keys) if (!(await isLatest(key))) t.fail(`${key} went back`)
})

t.test('a standby may die, hang and return', async (t) => {
  const proxy = new FaultProxy(standby.server.port)
  const port = await proxy.listen()
  t.teardown(() => proxy.close())
  const { client, log } = await forgetful(t, [`postgresql://postgres@127.0.0.1:${port}/postgres`])
  await put('k', 7)
  const { changes_applied: before } = await client.stats()
  const keys = 9_000
  await pool.query(
    `insert into cache_entries (key, value) select 'unread ' || number, 7 from generate_series(1, ${keys}) as number`,
  )
  // Until the replica has replayed the position after these changes, it is asked for none of the keys: if it fails
  // before that, it is usable all the same, because nothing shows that it is not.
  await eventually(async () => (await client.stats()).changes_applied >= before + keys)
  const isUsed = () => isReadFromReplica(client, 'k')
  let unread = 0
  const readsGoOn = async () => {
    for (let read = 0; read < 20; read++) t.equal(await client.value(`unread ${++unread}`), '7')
    // A position that was asked for before can still arrive, and make it usable until the next read of it fails.
    await eventually(async () => {
      t.equal(await client.value(`unread ${++unread}`), '7')
      return (await replicaOf(client)).usable === false
    })
  }
  await eventually(isUsed)

  proxy.set({ toClient: { kind: 'drop' } })
  await readsGoOn()
  proxy.heal({ reset: true })
  await eventually(isUsed)

  await standby.server.stop('immediate')
  await readsGoOn()
  await eventually(() => log.some((line) => line.includes('no replica can be used')))
  await standby.server.start()
  await eventually(isUsed)

  await standby.server.stop('fast')
  await standby.server.start()
  await eventually(isUsed)
  t.match(await client.stats(), { database: { breaker: 'closed', opened: 0 } })
})

t.test('a standby is used only after it was seen to have replayed the position', async (t) => {
  const { log } = recordingLog()
  const open = (url: string) => new Database({ url, poolSize: 1, timeoutMs: 2_000, log })
  const database = open(primary.url())
  const clock = { now: () => performance.now() }
  const replicas = new ReadReplicas({
    primary: database,
    replicas: [open(standby.url())],
    schema: new SchemaName(database),
    clock,
    log,
    maxReadBytes: 1_000_000,
  })
  t.teardown(() => Promise.all([database.close(), replicas.close()]))
  const wanted = [{ key: 'k' }]
  const isRefused = (position: LogPosition) => t.rejects(replicas.read(wanted, position), /replayed enough/)

  await streams()
  await isRefused({ epoch: '1-00000001', bytes: 0n })
  const position = await replicas.catchUp()
  t.match((await replicas.read(wanted, position)).get('k'), { entry: { value: '"7"' } })
  await isRefused({ ...position, bytes: position.bytes + 1_000_000n })
  await isRefused({ ...position, epoch: '1-00000001' })

  await pool.query("insert into cache_entries (key, value) values ('large', repeat('x', 1000001))")
  const read = await replicas.read([{ key: 'large' }, { key: 'none' }], await replicas.catchUp())
  t.match(read.get('large'), { entry: { withheld: 'too-large', value: undefined } })
  t.same(read.get('none'), { entry: undefined })

  await standby.server.stop('fast')
  await standby.server.start()
  await isRefused(position)
  await streams()
  await eventually(() => replicas.catchUp().then(Boolean, () => false))
  t.match((await replicas.read(wanted, position)).get('k'), { entry: { value: '"7"' } })
})

t.test('with several standbys, the next one is used if one is unusable', async (t) => {
  const nobody = 'postgresql://postgres@127.0.0.1:1/postgres'
  await put('k', 7)
  const { client } = await forgetful(t, [nobody, standby.url(), nobody])
  await eventually(() => isReadFromReplica(client, 'k'))
  t.equal(await client.value('k'), '7')
})

t.test('doctor reports for each standby if it can be used, and why not', async (t) => {
  const findings: Finding[] = []
  const url = primary.url()
  const databaseReadUrls = ['postgresql://postgres@127.0.0.1:1/postgres', url, standby.url()]
  const options = {
    databaseUrl: url,
    databaseListenUrl: url,
    databasePoolSize: 2,
    databaseTimeoutMs: 2_000,
    maxStalenessMs: 3_000,
    sidecars: 1,
    now: Date.now,
  }
  for await (const finding of examine({ ...options, databaseReadUrls })) findings.push(finding)
  t.match(
    findings.filter(({ check }) => check.startsWith('replica')),
    [
      { check: 'replica 1', ok: false, cure: /nothing listens there/ },
      {
        check: 'replica 2',
        ok: false,
        says: /a server that is not a standby/,
        cure: /a standby of it that keeps up/,
      },
      { check: 'replica 3', ok: true, says: /^replayed everything within [\d.]+ ms$/ },
    ],
  )
})

t.test('a row that expires is read from the primary', async (t) => {
  const { client } = await forgetful(t)
  await put('k', 7)
  await put('expires', 7)
  await pool.query("update cache_entries set expires_at = now() + interval '1 hour' where key = 'expires'")
  await eventually(() => isReadFromReplica(client, 'k'))
  await eventually(async () => {
    t.notOk(await isReadFromReplica(client, 'expires'))
    return (await replicaOf(client)).fallbacks.expiring > 0
  })
  t.equal(await client.value('expires'), '7')
})

t.test('a server that is not a standby is not used for reads', async (t) => {
  const { client, log } = await forgetful(t, [primary.url()])
  await put('k', 7)
  await eventually(async () => {
    await client.get('k')
    return log.some((line) => line.includes('leads to a server that is not a standby'))
  })
  t.equal(await client.value('k'), '7')
  t.match(await replicaOf(client), { usable: false, fills: 0 })
})
