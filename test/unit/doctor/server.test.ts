import type pg from 'pg'
import t from 'tap'
import { lookAtServer } from '../../../src/tools/doctor/server.js'
import { lookAtSettings } from '../../../src/tools/doctor/session-settings.js'

/** A client of a server that answers every query with one row. */
function clientOf(row: Readonly<Record<string, unknown>>): pg.Client {
  return { query: async () => ({ rows: [row] }) } as unknown as pg.Client
}

const server = {
  version: 140_000,
  version_text: '14.0',
  encoding: 'UTF8',
  is_standby: false,
  queue_usage: 0.5,
  now_ms: 6_000,
}
const settings = { commit: 'on', fsync: 'on', standbys: '', connected_standbys: 1, read_only: 'off' }
/** The place where a setting was made, for the cure. */
const place = { source: 'default', role: 'a', database: 'b', for_role: null, in_database: null }

async function levelsOf(row: Partial<typeof server>) {
  const findings = await lookAtServer(clientOf({ ...server, ...row }), () => 1_000)
  return Object.fromEntries(findings.map(({ check, level }) => [check, level]))
}

async function levelOfCommit(row: Partial<typeof settings>) {
  const findings = await lookAtSettings(clientOf({ ...settings, ...place, ...row }), 'DATABASE_URL')
  return findings.find(({ check }) => check === 'synchronous_commit')?.level
}

t.test('the oldest version, a half-full queue and a clock 5 s ahead are accepted', async (t) => {
  const levels = { version: 'ok', encoding: 'ok', primary: 'ok', 'notification queue': 'ok', clock: 'ok' }
  t.same(await levelsOf({}), levels)
})

t.test('each of these beyond its bound is bad', async (t) => {
  t.match(await levelsOf({ version: 139_999 }), { version: 'bad', clock: 'ok' })
  t.match(await levelsOf({ encoding: 'LATIN1' }), { encoding: 'bad' })
  t.match(await levelsOf({ is_standby: true }), { primary: 'bad' })
  t.match(await levelsOf({ queue_usage: 0.51 }), { 'notification queue': 'bad' })
  t.match(await levelsOf({ now_ms: 6_001 }), { clock: 'bad' })
  t.match(await levelsOf({ now_ms: -4_001 }), { clock: 'bad' })
})

t.test('a finding tells the version, the fill of the queue and the difference of the clocks', async (t) => {
  const saidOf = async (check: string, row: Partial<typeof server>) => {
    const findings = await lookAtServer(clientOf({ ...server, ...row }), () => 1_000)
    return findings.find((finding) => finding.check === check)?.says
  }
  t.equal(await saidOf('version', {}), 'PostgreSQL 14.0')
  t.equal(await saidOf('encoding', { encoding: 'LATIN1' }), 'LATIN1')
  t.equal(await saidOf('notification queue', { queue_usage: 0.0123 }), '1.2 % full')
  t.equal(await saidOf('notification queue', { queue_usage: 0.1 }), '10 % full')
  t.match(await saidOf('notification queue', { queue_usage: 0.756 }), /^76 % full; when it is full/)
  t.equal(await saidOf('clock', {}), "the server's is 5.0 s ahead of this machine")
  t.equal(await saidOf('clock', { now_ms: -3_230 }), "the server's is 4.2 s behind this machine")
  t.equal(await saidOf('clock', { now_ms: -10_000 }), "the server's is 11.0 s behind this machine")
  t.equal(await saidOf('clock', { now_ms: 1_000 }), "the server's is 0.0 s ahead of this machine")
})

t.test('the clock of this machine is that of the middle of the question', async (t) => {
  const times = [1_000, 3_000]
  const findings = await lookAtServer(clientOf({ ...server, now_ms: 7_000 }), () => times.shift() ?? 0)
  t.match(findings.at(-1), { check: 'clock', ok: true, says: "the server's is 5.0 s ahead of this machine" })
})

t.test('commits that are only local are a risk only with a synchronous standby', async (t) => {
  t.equal(await levelOfCommit({ commit: 'local' }), 'ok')
  t.equal(await levelOfCommit({ commit: 'local', standbys: 'a' }), 'warning')
  t.equal(await levelOfCommit({ commit: 'on', standbys: 'a' }), 'ok')
  t.equal(await levelOfCommit({ commit: 'off' }), 'bad')
})
