import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Drainer } from '../../../../src/postgres/outbox/drainer.js'
import { eventually } from '../../../support/eventually.js'
import { recordingLog } from '../../../support/recording-log.js'

/** Starts a drainer of a server that closes each connection with this text. */
async function drainerOf(t: Test, answer: () => string) {
  const sockets: Socket[] = []
  const server = createServer((socket) => sockets.push(socket.on('error', () => {}).end(answer())))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const { log, logged } = recordingLog()
  const counts = { statements: 0, rows: 0 }
  const clock = { now: () => performance.now() }
  const url = `postgresql://nobody@127.0.0.1:${port}/nothing`
  const drainer = new Drainer(
    { url, intervalMs: 1_000, limitMs: 1_000 },
    { clock, log, counts, patternOf: () => undefined },
  )
  t.teardown(() => {
    drainer.close()
    server.close()
  })
  return { drainer, logged, counts, connections: () => sockets.length }
}

const fatal = (message: string) => {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C57P03\0M${message}\0\0`, 'latin1')
  const length = Buffer.alloc(4)
  length.writeInt32BE(fields.length + 4)
  return `E${length.toString('latin1')}${fields.toString('latin1')}`
}
const table = { schema: 'public', channel: 'changes', hasMappings: false }

t.test('a failure is logged once, until its reason changes, and is followed by a pause', async (t) => {
  let message = 'starting up'
  const { drainer, logged, counts, connections } = await drainerOf(t, () => fatal(message))
  t.equal(connections(), 0, 'nothing is drained before a table is known')
  drainer.drainFor(table)
  const line = (reason: string) => ({
    level: 'warn',
    fields: { reason },
    message: 'the outbox cannot be drained: bound keys are read from the database',
  })
  await eventually(() => logged.length > 0)
  t.equal(connections(), 1)
  /** Whoever asks for a drain does not wait for the pause. */
  const again = async () => {
    const before = connections()
    const asked = drainer.drain(100)
    await eventually(() => connections() > before)
    await asked
  }
  await again()
  t.strictSame(logged, [line('starting up')])
  message = 'shutting down'
  await again()
  await eventually(() => logged.length > 1)
  t.strictSame(logged, [line('starting up'), line('shutting down')])
  t.ok(connections() < 10, 'it pauses')
  t.strictSame(counts, { statements: 0, rows: 0 })
  t.equal(drainer.last, undefined)
})

t.test('nobody waits for a drainer without a table, nor for one that is closed', async (t) => {
  const { drainer, connections } = await drainerOf(t, () => '')
  await drainer.drain(1e9)
  drainer.drainFor(table)
  await eventually(() => connections() > 0)
  drainer.close()
  await drainer.drain(1e9)
})
