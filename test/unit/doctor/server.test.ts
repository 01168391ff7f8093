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

t.test('commits that are only local are a risk only with a synchronous standby', async (t) => {
  t.equal(await levelOfCommit({ commit: 'local' }), 'ok')
  t.equal(await levelOfCommit({ commit: 'local', standbys: 'a' }), 'warning')
  t.equal(await levelOfCommit({ commit: 'on', standbys: 'a' }), 'ok')
  t.equal(await levelOfCommit({ commit: 'off' }), 'bad')
})
