import { getEventListeners, once } from 'node:events'
import type { Socket } from 'node:net'
import t from 'tap'
import { createClient } from '../../../clients/node/src/index.js'
import { clientError } from '../../support/client-error.js'
import { connectedClient } from '../../support/connected-client.js'
import type { Owner } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { answer, scriptedServer } from '../../support/scripted-server.js'

/** Starts a server of the test, and a client of it. */
async function scripted(t: Owner, onRequest: Parameters<typeof scriptedServer>[1], options = {}) {
  const { port, sockets } = await scriptedServer(t, onRequest)
  const app = createClient({ url: `http://127.0.0.1:${port}`, ...options })
  t.teardown(() => app.close())
  return { app, sockets }
}

const problem = (kind: string, detail: string) =>
  JSON.stringify({ type: `https://example.org/errors.md#${kind}`, title: '', status: 0, detail })

t.test('a read whose connection is lost is sent again, a write is not', async (t) => {
  let requests: string[] = []
  const { app } = await scripted(t, (socket, text) => {
    requests.push(text.split(' ', 1)[0] ?? '')
    if (requests.length === 2) socket.write(answer(200, '7'))
    else socket.destroy()
  })
  await app.get('k')
  t.same(requests, ['GET', 'GET'])
  requests = []
  await t.rejects(app.set('k', 1), clientError({ kind: 'outcome-unknown', retryable: false }))
  t.same(requests, ['PUT'])
  requests = ['', '']
  await t.rejects(app.getMany(['k']), clientError({ kind: 'connection-lost', retryable: true }))
  t.same(requests.slice(2), ['POST', 'POST', 'POST'], 'three times at most')
})

t.test('no time is too long for a timer', async (t) => {
  const { app } = await connectedClient(t, { timeoutMs: Number.POSITIVE_INFINITY })
  await app.set('k', 1, { timeoutMs: 2 ** 31 })
  t.equal(await app.get('k'), 1)
})

t.test('one signal may be given to many calls', async (t) => {
  const { app } = await connectedClient(t)
  const warnings: Error[] = []
  const onWarning = (warning: Error) => warnings.push(warning)
  process.on('warning', onWarning)
  t.teardown(() => process.off('warning', onWarning))
  const { signal } = new AbortController()
  const calls = Array.from({ length: 20 }, (_, index) => [
    app.get(`get:${index}`, { signal }),
    app.getOrCompute(`compute:${index}`, () => index, { signal }),
  ])
  await Promise.all(calls.flat())
  // Warnings are emitted in the next turn.
  await new Promise(setImmediate)
  t.same(warnings, [])
  t.same(getEventListeners(signal, 'abort'), [])
})

t.test('a request ends with its time, with its signal and with the client', async (t) => {
  const { app, sockets } = await scripted(t, () => undefined)
  await t.rejects(app.get('k', { timeoutMs: 50 }), clientError({ kind: 'timeout', detail: /within 50 ms/ }))
  await t.rejects(app.set('k', 1, { timeoutMs: 50 }), clientError({ kind: 'outcome-unknown' }))
  const controller = new AbortController()
  const aborted = app.get('k', { signal: controller.signal })
  await eventually(() => sockets.length === 3)
  const closed = once(sockets[2] as Socket, 'close')
  controller.abort(new Error('enough'))
  await t.rejects(aborted, { message: 'enough' })
  await closed
  await t.rejects(app.get('k', { signal: controller.signal }), { message: 'enough' })
  const last = app.get('k')
  await eventually(() => sockets.length === 4)
  await app.close()
  await app.close()
  await t.rejects(last, clientError({ kind: 'closed', retryable: false }))
  await t.rejects(app.get('k'), clientError({ kind: 'closed' }))
})

t.test('a request whose time is over is not sent again, even if the timer is a little early', async (t) => {
  const { random } = Math
  t.teardown(() => {
    Math.random = random
  })
  // Without a pause before the next attempt.
  Math.random = () => 0
  const { app } = await scripted(t, () => undefined)
  for (let time = 0; time < 100; time++)
    await t.rejects(app.get('k', { timeoutMs: 3 }), clientError({ kind: 'timeout', detail: /within 3 ms/ }))
})

t.test('a request that is still connecting ends with the client', async (t) => {
  const { app } = await scripted(t, () => undefined)
  const reading = app.get('k')
  const writing = app.set('k', 1)
  await app.close()
  await t.rejects(reading, clientError({ kind: 'closed', retryable: false }))
  await t.rejects(writing, clientError({ kind: 'closed', retryable: false }))
})

t.test('a problem becomes an error with its kind', async (t) => {
  let body = problem('store-busy', 'The database did not answer in time')
  let status = 503
  const { app } = await scripted(t, (socket) => socket.write(answer(status, body)))
  await t.rejects(
    app.set('k', 1),
    clientError({ status: 503, kind: 'store-busy', detail: /did not answer/, retryable: true }),
  )
  body = problem('outcome-unknown', 'unknown')
  await t.rejects(app.set('k', 1), clientError({ kind: 'outcome-unknown', retryable: false }))
  status = 404
  body = problem('no-route', 'No such path')
  await t.rejects(app.get('k'), clientError({ status: 404, kind: 'no-route' }))
  body = '<html>'
  await t.rejects(app.get('k'), clientError({ status: 404, kind: 'invalid-response' }))
  status = 200
  await t.rejects(app.getMany(['k']), clientError({ kind: 'invalid-response' }))
})

t.test('a URL is checked', async (t) => {
  for (const url of ['127.0.0.1:8025', 'ftp://127.0.0.1', 'http://127.0.0.1/?a=b', 'http://user@127.0.0.1'])
    t.throws(() => createClient({ url }), clientError({ kind: 'invalid-value', detail: /^url: / }), url)
})
