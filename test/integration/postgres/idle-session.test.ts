import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { ListenSession } from '../../../src/postgres/feed/listen-session.js'
import { ownServer } from '../../support/database.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Value of idle_session_timeout: the server ends sessions that have been idle for so long. */
const idleMs = 300

t.test('idle_session_timeout of the server does no harm', async (t) => {
  const server = await ownServer(t)
  const admin = new pg.Client({ connectionString: server.url(), options: '-c idle_session_timeout=0' })
  await admin.connect()
  t.teardown(() => admin.end())
  await admin.query(`alter system set idle_session_timeout = ${idleMs}`)
  await admin.query('select pg_reload_conf()')

  await t.test('a session that only listens stays open', async (t) => {
    const heard: (string | undefined)[] = []
    const session = new ListenSession({
      url: server.url(),
      connectTimeoutMs: 3_000,
      onNotification: (payload) => heard.push(payload),
    })
    t.teardown(() => session.destroy())
    await session.open()
    await session.listen('silent')
    let lost = false
    session.lost.catch(() => {
      lost = true
    })
    await sleep(4 * idleMs)
    t.notOk(lost)
    // Asked before it is sent: it may be delivered before the statement's own answer.
    const received = session.receivesAny(2_000)
    await admin.query("notify silent, 'still here'")
    t.ok(await received)
    t.strictSame(heard, ['still here'])
  })

  await t.test('while a sidecar is idle, no request fails and the feed stays', async (t) => {
    // Slower than the timeout: between two of its statements every connection of the pool is ended.
    const { client, log } = await startLiveSidecar(t, { databaseUrl: server.url() })
    await client.set('a', 0)
    for (let round = 1; round <= 4; round++) {
      await sleep(2 * idleMs)
      t.equal((await client.get(`not there ${round}`)).status, 404)
      await sleep(2 * idleMs)
      t.match((await client.set('a', round)).body, { ok: true, db_written: true })
      t.match((await client.delete(`not there ${round}`)).body, { db_removed: false })
    }
    t.ok(
      log.some((line) => line.includes('an idle database connection was lost')),
      'connections were ended, indeed',
    )
    t.equal(await client.held('a'), 4)
    t.match((await client.stats()).feed, { state: 'live', losses: 0 })
  })
})
