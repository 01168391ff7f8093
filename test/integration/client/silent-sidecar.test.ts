import type { Socket } from 'node:net'
import t from 'tap'
import { createClient } from '../../../clients/node/src/index.js'
import { clientError } from '../../support/client-error.js'
import type { Owner } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { answer, scriptedServer } from '../../support/scripted-server.js'

const noEntry = JSON.stringify({ type: 'https://example.org/errors.md#no-entry', detail: '' })
const withLease = answer(404, noEntry).replace('\r\n', '\r\nFill-Lease: a\r\n')

/**
 * Starts a server of the test, and a client of it whose requests have no time limit: so a call ends because the server
 * counts as silent, or never. `onEntry` answers a request about an entry.
 */
async function scripted(
  t: Owner,
  onEntry: (socket: Socket, method: string, path: string) => void,
  options = {},
) {
  const state = { answersChecks: true, checks: 0, entries: [] as string[] }
  const { port } = await scriptedServer(t, (socket, text) => {
    const [method = '', path = ''] = text.split(' ', 2)
    if (path === '/health') {
      state.checks++
      if (state.answersChecks) socket.write(answer(200))
    } else {
      state.entries.push(method)
      onEntry(socket, method, path)
    }
  })
  const app = createClient({
    url: `http://127.0.0.1:${port}`,
    timeoutMs: Number.POSITIVE_INFINITY,
    ...options,
  })
  t.teardown(() => app.close())
  return { app, state }
}

t.test('a sidecar that answers nothing does not hold computations up', async (t) => {
  let isFrozen = true
  const { app, state } = await scripted(t, (socket) => {
    if (!isFrozen)
      socket.write(answer(200, '"stored"').replace('\r\n', '\r\nContent-Type: application/json\r\n'))
  })
  state.answersChecks = false
  const several = ['a', 'b', 'c'].map((key) => app.getOrCompute(key, () => `computed ${key}`))
  t.same(await Promise.all(several), ['computed a', 'computed b', 'computed c'])
  const asked = state.entries.length
  t.equal(await app.getOrCompute('a', () => 'again'), 'again')
  t.equal(state.entries.length, asked, 'as long as it is silent, it is not asked for entries')

  isFrozen = false
  state.answersChecks = true
  await eventually(async () => (await app.getOrCompute('a', () => 'computed')) === 'stored')
})

t.test('a sidecar that lets a call wait, and answers checks, is waited for', async (t) => {
  const { app, state } = await scripted(t, async (socket) => {
    const before = state.checks
    await eventually(() => state.checks >= before + 3)
    socket.write(answer(200, '7').replace('\r\n', '\r\nContent-Type: application/json\r\n'))
  })
  t.equal(await app.getOrCompute('k', () => 'computed'), 7)
})

t.test('a sidecar that falls silent while a value is stored does not hold it up', async (t) => {
  const { app, state } = await scripted(t, (socket, method) => {
    if (method === 'GET') socket.write(withLease)
    else state.answersChecks = false
  })
  t.equal(await app.getOrCompute('k', () => 'computed'), 'computed')
  t.same(state.entries, ['GET', 'PUT'])
})

t.test('a computed value is stored while all connections are taken by reads', async (t) => {
  const { app, state } = await scripted(
    t,
    (socket, method, path) => {
      if (method === 'PUT') socket.write(answer(201))
      else if (path.endsWith('/k')) socket.write(withLease)
    },
    { maxConnections: 1 },
  )
  const value = app.getOrCompute('k', async () => {
    app.get('slow').catch(() => undefined)
    await eventually(() => state.entries.length === 2)
    return 'computed'
  })
  t.equal(await value, 'computed')
  t.same(state.entries, ['GET', 'GET', 'PUT'])
})

t.test('a client that is closed computes nothing, even if its sidecar is silent', async (t) => {
  const { app, state } = await scripted(t, () => undefined)
  state.answersChecks = false
  await app.getOrCompute('k', () => 1)
  await app.close()
  await t.rejects(
    app.getOrCompute('k', () => 1),
    clientError({ kind: 'closed' }),
  )
})
