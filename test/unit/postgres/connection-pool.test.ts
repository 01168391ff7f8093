import t, { type Test } from 'tap'
import { ConnectionPool } from '../../../src/postgres/pool/connection-pool.js'
import { recordingLog } from '../../support/recording-log.js'
import { scriptedServer } from '../../support/scripted-server.js'

/** Bytes of a message of the server. */
function message(type: string, body: string): string {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length + 4)
  return type + length.toString('latin1') + body
}

const welcome = message('R', '\0\0\0\0') + message('Z', 'I')
const refusal = (text: string) => message('E', `SFATAL\0VFATAL\0C08P01\0M${text}\0\0`)

/** A pool of a server that refuses connections as `refuse` says, by the text of their startup. */
async function poolOf(t: Test, refuse: (startup: string) => string | undefined) {
  const startups: string[] = []
  const { port } = await scriptedServer(t, (socket, text) => {
    if (!text.includes('user\0')) return socket.end()
    startups.push(text)
    const reason = refuse(text)
    if (reason === undefined) socket.write(welcome, 'latin1')
    else socket.end(refusal(reason), 'latin1')
  })
  const { log, logged } = recordingLog()
  const url = `postgresql://app@127.0.0.1:${port}/db`
  const pool = new ConnectionPool({ url, poolSize: 2, timeoutMs: 1_234, log })
  t.teardown(() => pool.close())
  return { pool, logged, startups }
}

t.test('a pooler that refuses settings gets connections without them', async (t) => {
  const { pool, logged, startups } = await poolOf(t, (startup) =>
    startup.includes('statement_timeout') ? 'unsupported startup parameter: statement_timeout' : undefined,
  )
  const one = await pool.connect()
  const other = await pool.connect()
  t.match(pool.use, { busy: 2, idle: 0, waiting: 0, size: 2 })
  one.release()
  other.release()
  t.match(pool.use, { busy: 0, idle: 2 })
  t.match(startups[0], 'statement_timeout\u00001234\0')
  t.match(startups[0], 'lock_timeout\u0000124\0')
  t.equal(startups.length, 3)
  for (const startup of startups.slice(1)) t.notMatch(startup, 'timeout')
  t.match(logged, [
    {
      level: 'warn',
      fields: { reason: /unsupported startup parameter/ },
      message: "the pooler refuses statement_timeout and lock_timeout: only the sidecar's own timeouts apply",
    },
  ])
})

t.test('any other refusal is an error, and so is one without settings', async (t) => {
  const refused = await poolOf(t, () => 'no')
  await t.rejects(refused.pool.connect(), {
    code: 'store-unavailable',
    message: 'no connection to the database: no',
  })
  t.equal(refused.startups.length, 1)
  const never = await poolOf(t, () => 'unsupported startup parameter: application_name')
  await t.rejects(never.pool.connect(), { code: 'store-unavailable' })
  t.equal(never.startups.length, 2)
})
