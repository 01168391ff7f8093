import type pg from 'pg'
import t from 'tap'
import { lookAtListenSettings, lookForPooler } from '../../../src/tools/doctor/listening.js'

/** A client of a server that answers every query with one row. */
function clientOf(row: Readonly<Record<string, unknown>>, processID = 7): pg.Client {
  return { processID, query: async () => ({ rows: [row] }) } as unknown as pg.Client
}

t.test('a pooler gives its clients process ids of its own', async (t) => {
  const look = (pid: number, mayBe: boolean) => lookForPooler('DATABASE_URL', clientOf({ pid }), mayBe)
  const check = 'route of DATABASE_URL'
  for (const mayBe of [true, false]) t.match(await look(7, mayBe), { check, level: 'ok', says: 'direct' })
  t.match(await look(8, true), { check, level: 'ok', says: 'through a pooler' })
  t.match(await look(8, false), {
    check,
    level: 'bad',
    says: 'through a pooler',
    cure: /^set DATABASE_LISTEN_URL/,
  })
})

t.test('the settings of a listening session', async (t) => {
  const look = async (idle: string, unread: string, isTcp: boolean) => {
    const client = clientOf({ idle, unread, is_tcp: isTcp })
    const findings = await lookAtListenSettings(client, 'DATABASE_URL', { unreadTimeoutMs: 9_000 })
    return findings.map(({ check, level, cure }) => [check, level, cure])
  }
  t.strictSame(await look('0', '9000', true), [['idle_session_timeout', 'ok', undefined]])
  t.strictSame(await look('0', '0', false), [['idle_session_timeout', 'ok', undefined]], 'a Unix socket')
  t.match(await look('5min', '0', true), [
    ['idle_session_timeout', 'bad', /add "-c idle_session_timeout=0" to the options of DATABASE_URL/],
    ['tcp_user_timeout', 'warning', /add "-c tcp_user_timeout=9000" to the options of DATABASE_URL/],
  ])
})
