import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { reach } from '../../../src/tools/doctor/reach.js'
import { scriptedServer } from '../../support/scripted-server.js'

/** A message of a PostgreSQL server. */
function message(type: string, body: string): string {
  const length = String.fromCharCode(0, 0, 0, body.length + 4)
  return `${type}${length}${body}`
}

const refusal = (state: string, text: string) => message('E', `SFATAL\0VFATAL\0C${state}\0M${text}\0\0`)
const welcome = message('R', '\0\0\0\0') + message('Z', 'I')

/** Reaches a server that answers each startup packet as told. Returns the result and the packets. */
async function reached(t: Test, answer: (packet: string) => string) {
  const packets: string[] = []
  const { port } = await scriptedServer(t, (socket: Socket, packet) => {
    if (packet.startsWith('X')) return
    packets.push(packet)
    socket.write(answer(packet), 'latin1')
  })
  const result = await reach('DATABASE_URL', `postgresql://app%20user@127.0.0.1:${port}/db`)
  if ('client' in result) await result.client.end()
  return { finding: 'finding' in result ? result.finding : undefined, packets }
}

const hasTimeouts = (packet: string) =>
  packet.replaceAll('\0', ' ').includes(' statement_timeout 5000 lock_timeout 2000 ')

t.test('a session has timeouts of its own for statements and locks', async (t) => {
  const { finding, packets } = await reached(t, () => welcome)
  t.equal(finding, undefined)
  t.strictSame(packets.map(hasTimeouts), [true])
  t.match(packets[0], '\0application_name\0caching-layer doctor\0')
})

t.test('a pooler that refuses the timeouts is reached without them', async (t) => {
  const { finding, packets } = await reached(t, (packet) =>
    hasTimeouts(packet) ? refusal('08P01', 'unsupported startup parameter: statement_timeout') : welcome,
  )
  t.equal(finding, undefined)
  t.strictSame(packets.map(hasTimeouts), [true, false])
})

t.test('a pooler that then refuses the login as well is reported', async (t) => {
  const { finding, packets } = await reached(t, (packet) =>
    hasTimeouts(packet)
      ? refusal('08P01', 'unsupported startup parameter: lock_timeout')
      : refusal('28P01', 'password authentication failed'),
  )
  t.match(finding, { check: 'DATABASE_URL', level: 'bad', says: /^password authentication failed/ })
  t.equal(packets.length, 2)
})

t.test('a server that refuses the login is asked once', async (t) => {
  const { finding, packets } = await reached(t, () => refusal('28P01', 'password authentication failed'))
  t.match(finding, {
    check: 'DATABASE_URL',
    level: 'bad',
    says: 'password authentication failed (SQLSTATE 28P01)',
    cure: /^correct user and password in DATABASE_URL/,
  })
  t.equal(packets.length, 1)
})

t.test('the cure names the role of the URL', async (t) => {
  const text = 'permission denied for database "db"\0RCheckMyDatabase'
  const { finding } = await reached(t, () => refusal('42501', text))
  t.equal(finding?.cure, 'run as the owner of the database: grant connect on database "db" to "app user"')
})
