import t from 'tap'
import { createClient } from '../../../clients/node/src/index.js'
import { balancer } from '../../support/balancer.js'
import { clientError } from '../../support/client-error.js'
import { connectedClient } from '../../support/connected-client.js'
import { answer, scriptedServer } from '../../support/scripted-server.js'

t.test('a watch has every change since its first gap', async (t) => {
  const { app, client, query } = await connectedClient(t)
  const changes = app.watch({ prefix: 'a' })
  t.same((await changes.next()).value, { type: 'gap' })
  await client.set('b', 1)
  await client.set('a', 1)
  t.match((await changes.next()).value, { type: 'change', key: 'a', version: /^\d+$/, isDeleted: false })
  await client.delete('a')
  t.match((await changes.next()).value, { key: 'a', isDeleted: true })
  const long = `a${'x'.repeat(600)}`
  await query(`insert into cache_entries (key, value) values ('${long}', '1')`)
  t.match((await changes.next()).value, { key: undefined, keyHash: /^[0-9a-f]{64}$/ })
  await query('truncate cache_entries')
  t.same((await changes.next()).value, { type: 'gap' })
  await changes.return?.()
  t.match(await changes.next(), { done: true })
})

t.test('a watch continues after a cut without a gap, if the sidecar can', async (t) => {
  const { client, sidecar } = await connectedClient(t)
  const front = await balancer(t, [sidecar.port])
  const app = createClient({ url: front.url })
  t.teardown(() => app.close())
  const changes = app.watch()
  await changes.next()
  await client.set('a', 1)
  t.match((await changes.next()).value, { key: 'a' })
  front.cut()
  await client.set('b', 1)
  t.match((await changes.next()).value, { key: 'b' })
})

t.test('a watch ends with its signal, with the client, and if the sidecar refuses it', async (t) => {
  const { app, client } = await connectedClient(t)
  const controller = new AbortController()
  const changes = app.watch({ signal: controller.signal })
  await changes.next()
  const next = changes.next()
  controller.abort()
  t.match(await next, { done: true })
  t.match(await app.watch({ signal: controller.signal }).next(), { done: true })

  const other = createClient({ url: client.base })
  const watched = other.watch()
  await watched.next()
  const last = watched.next()
  await other.close()
  t.match(await last, { done: true })

  const { port } = await scriptedServer(t, (socket) => socket.write(answer(404)))
  const wrong = createClient({ url: `http://127.0.0.1:${port}` })
  t.teardown(() => wrong.close())
  await t.rejects(wrong.watch().next(), clientError({ status: 404, kind: 'invalid-response' }))
})

t.test('a connection that brought no id leaves a gap', async (t) => {
  let streams = 0
  const { port } = await scriptedServer(t, (socket) => {
    streams++
    const open = 'event: open\ndata: {"stream":"a.1","feed":"a.0","max_staleness_ms":3000}\n\n'
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n${open}`)
    if (streams === 1) socket.end()
  })
  const app = createClient({ url: `http://127.0.0.1:${port}` })
  t.teardown(() => app.close())
  const changes = app.watch()
  t.same((await changes.next()).value, { type: 'gap' })
  t.same((await changes.next()).value, { type: 'gap' })
  t.equal(streams, 2)
})

t.test('the time limit of the client is not that of a stream', async (t) => {
  const opening =
    'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n' +
    'event: open\ndata: {"stream":"a.1","feed":"a.0","max_staleness_ms":3000}\n\n'
  t.test('a sidecar that does not answer is left for another one, even without a limit', async (t) => {
    let streams = 0
    const { port } = await scriptedServer(t, (socket) => {
      if (++streams === 2) socket.write(opening)
    })
    const app = createClient({ url: `http://127.0.0.1:${port}`, timeoutMs: Number.POSITIVE_INFINITY })
    t.teardown(() => app.close())
    t.same((await app.watch().next()).value, { type: 'gap' })
  })
  t.test('a sidecar may take longer than a read of the client may', async (t) => {
    const { port } = await scriptedServer(t, (socket) => setTimeout(() => socket.write(opening), 100))
    const app = createClient({ url: `http://127.0.0.1:${port}`, timeoutMs: 10 })
    t.teardown(() => app.close())
    t.same((await app.watch().next()).value, { type: 'gap' })
  })
})
