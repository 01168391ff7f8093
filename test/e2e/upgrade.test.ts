/** Tests of an upgrade, sidecar by sidecar: the previous release and this one share a database. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t from 'tap'
import { CliProcess, type Served, serve, untilLive } from '../support/child-process.js'
import { freshDatabase } from '../support/database.js'
import { earlierRelease } from '../support/earlier-release.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'

const before = '0.1.0'

t.test(
  `sidecars of ${before} go on while the schema is brought up to date, and beside this version`,
  async (t) => {
    const release = await earlierRelease(before)
    const database = await freshDatabase(t)
    const { query } = database
    const owner = await guestOf(t, database)
    const migrated = new CliProcess(t, ['migrate'], { DATABASE_URL: owner.url }, { release })
    t.equal((await migrated.exited).code, 0, migrated.stderr)

    // A role that was made by the script of that release.
    const role = `test_${randomUUID().replaceAll('-', '_')}`
    t.teardown(async () => {
      await query(`drop owned by ${role}`)
      await query(`drop role ${role}`)
    })
    const script = await readFile(`${release}/sql/least-privilege.sql`, 'utf8')
    await query(
      script.replaceAll(":'role'", pg.escapeLiteral(role)).replaceAll(':"role"', pg.escapeIdentifier(role)),
    )
    await query(`alter role ${role} password 'secret'`)
    const url = Object.assign(new URL(database.url), { username: role, password: 'secret' }).href

    const old: Served[] = []
    // Writes wait for the locks of the migration, however long it takes.
    const patient = { DATABASE_TIMEOUT_MS: '60000' }
    for (const databaseUrl of [owner.url, url])
      old.push(await serve(t, { DATABASE_URL: databaseUrl, ...patient }, ['--no-migrate'], { release }))
    await Promise.all(old.map(untilLive))

    /** Written through one, by SQL, and through another: all follow. */
    const follow = async (what: string, sidecars: readonly Served[]) => {
      for (const [index, writer] of sidecars.entries()) {
        const { headers, body } = await writer.client.set('k', `${what} ${index}`)
        t.match(body, { ok: true, db_written: true }, `${what}: written by ${index}`)
        for (const { client } of sidecars) {
          const read = await client.request('GET', '/cache/get?key=k', {
            headers: { 'Cache-Token': headers['cache-token'] },
          })
          t.equal(read.body.value, `${what} ${index}`, `${what}: the token is honoured`)
        }
        await query('update cache_entries set value = $1', [`${what} by SQL ${index}`])
        for (const { client } of sidecars) {
          await eventually(async () => (await client.value('k')) === `${what} by SQL ${index}`)
          t.equal(await client.held('k'), `${what} by SQL ${index}`)
        }
        t.match((await writer.client.delete('k')).body, { db_removed: true })
        for (const { client } of sidecars)
          await eventually(async () => (await client.get('k')).status === 404)
      }
    }
    await follow('before', old)

    let isOver = false
    let writes = 0
    const writing = Promise.all(
      old.map(async ({ client }, index) => {
        while (!isOver) {
          const { status, body, text } = await client.set(`busy ${index}`, writes)
          // The migrations lock the table. On a slow machine, that can take longer than a write waits.
          const isLocked = status === 503 && body.detail === 'The entry is locked in the database'
          if (status === 200) writes++
          else if (!isLocked) throw new Error(`a write was answered with ${text}`)
          await client.get(`busy ${1 - index}`)
          await sleep(5)
        }
      }),
    )
    const upgraded = new CliProcess(t, ['migrate'], { DATABASE_URL: owner.url })
    t.equal((await upgraded.exited).code, 0, upgraded.stderr)
    t.match(upgraded.stdout, /^0005_/m)
    const writesBefore = writes
    await eventually(() => writes > writesBefore + 50)
    isOver = true
    await writing
    await follow('after', old)

    const again = await serve(t, { DATABASE_URL: owner.url }, [], { release })
    await untilLive(again)
    const present = [
      await serve(t, { DATABASE_URL: owner.url }),
      await serve(t, { DATABASE_URL: url }, ['--no-migrate']),
    ]
    await Promise.all(present.map(untilLive))
    await follow('beside', [...old, again, ...present])
    const complaints = ({ log }: Served) =>
      log.filter(({ level }) => Number(level) > 30).map(({ msg }) => msg)
    for (const sidecar of old)
      t.same(complaints(sidecar), ['the database has another history: cache flushed'], 'the new epoch, once')
    for (const sidecar of [again, ...present]) t.same(complaints(sidecar), [])
    const doctor = new CliProcess(t, ['doctor'], { DATABASE_URL: url })
    t.equal((await doctor.exited).code, 0, doctor.stdout)
  },
)
