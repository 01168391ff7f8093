import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t, { type Test } from 'tap'
import { DevServer } from '../../../src/dev/dev-server.js'
import { freePorts } from '../../support/free-ports.js'
import { exchange } from '../../support/raw-http.js'

/** Starts the server of `dev` in front of one sidecar, which answers with what it was asked. */
async function started(t: Test, { isSidecarUp = true } = {}) {
  const sidecar = createServer((request, response) => {
    const { method, url, headers } = request
    response.writeHead(201, { 'Content-Type': 'application/x-test' })
    request.pipe(response.on('pipe', () => response.write(`${method} ${url} ${headers['content-type']} `)))
  }).listen(0, '127.0.0.1')
  await once(sidecar, 'listening')
  t.teardown(() => sidecar.close())
  const data = isSidecarUp
    ? `http://127.0.0.1:${(sidecar.address() as AddressInfo).port}`
    : 'http://127.0.0.1:1'
  const port = await freePorts(1)
  const databaseUrl = 'postgresql://nobody@127.0.0.1:1/none'
  const sidecars = [{ data, page: 'http://127.0.0.1:2/ui/' }]
  const server = new DevServer({ port, databaseUrl, sidecars, isSample: true })
  await server.listen()
  t.teardown(() => server.close())
  const ask = (line: string, { host = `127.0.0.1:${port}`, headers = '', body = '' } = {}) =>
    exchange(
      port,
      `${line} HTTP/1.0\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n${headers}\r\n${body}`,
    )
  return { port, server, sidecars, ask }
}

/** HTTP/1.0 has no chunks. */
const bodyOf = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4)
const statusOf = (answer: string) => Number(answer.split(' ')[1])
const sql = 'Content-Type: application/sql\r\n'

t.test('only requests to this host are answered', async (t) => {
  const { port, ask } = await started(t)
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`])
    t.equal(statusOf(await ask('GET /dev.json', { host })), 200, host)
  for (const host of [`evil.example:${port}`, '127.0.0.1', `127.0.0.1:${port + 1}`]) {
    const answer = await ask('POST /', { host, headers: sql })
    t.equal(statusOf(answer), 403, host)
    t.match(answer, 'not this host\n')
  }
})

t.test('SQL is only run if it is posted as SQL, and its error is the answer', async (t) => {
  const { ask } = await started(t)
  for (const [line, headers] of [
    ['POST /', 'Content-Type: text/plain\r\n'],
    ['POST /', ''],
    ['PUT /', sql],
  ] as const) {
    const answer = await ask(line, { headers, body: 'select 1' })
    t.equal(statusOf(answer), 415, line)
    t.match(answer, /Content-Type: text\/plain; charset=utf-8\r\n[\s\S]*post SQL as application\/sql\n/)
  }
  const failed = await ask('POST /', { headers: sql, body: 'select 1' })
  t.equal(statusOf(failed), 422)
  t.match(failed, /ECONNREFUSED/)
})

t.test('the page learns of the sidecars, and may run no code of others', async (t) => {
  const { ask, sidecars } = await started(t)
  const answer = await ask('GET /dev.json')
  t.match(answer, /\r\nContent-Type: application\/json\r\n/)
  t.match(answer, /\r\nCache-Control: no-store\r\n/)
  t.match(answer, /\r\nX-Content-Type-Options: nosniff\r\n/)
  t.match(
    answer,
    /\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; .*frame-ancestors 'none'\r\n/,
  )
  t.strictSame(JSON.parse(bodyOf(answer)), { sidecars, isSample: true })
  for (const line of ['GET /nothing', 'POST /dev.json']) t.equal(statusOf(await ask(line)), 415, line)
})

t.test('entries and statistics are asked of a sidecar', async (t) => {
  const { ask } = await started(t)
  const get = await ask('GET /sidecars/0/cache/get?key=a')
  t.equal(statusOf(get), 201)
  t.match(get, /\r\nContent-Type: application\/x-test\r\n/)
  t.match(get, /\r\nX-Content-Type-Options: nosniff\r\n/)
  t.match(get, 'GET /cache/get?key=a undefined ')
  const headers = 'Content-Type: application/json\r\n'
  const set = await ask('POST /sidecars/0/cache/set', { headers, body: '{"key":1}' })
  t.match(set, /POST \/cache\/set application\/json [\s\S]*\{"key":1\}/)
  t.equal(statusOf(await ask('GET /sidecars/0/cache/stats')), 201)
  for (const path of ['/sidecars/1/cache/stats', '/sidecars/0/cache/delete?key=a', '/sidecars/0/health'])
    t.equal(statusOf(await ask(`GET ${path}`)), 415, path)
})

t.test('a sidecar that does not answer is one with a reason', async (t) => {
  const { ask } = await started(t, { isSidecarUp: false })
  const answer = await ask('GET /sidecars/0/cache/stats')
  t.equal(statusOf(answer), 502)
  t.match(JSON.parse(bodyOf(answer)), { detail: /ECONNREFUSED/ })
})

t.test('closing does not wait for a request that is not complete', async (t) => {
  const { port, server } = await started(t)
  const socket = connect(port, '127.0.0.1', () =>
    socket.write(
      `POST / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${sql}Content-Length: 9\r\nExpect: 100-continue\r\n\r\n`,
    ),
  )
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'data')
  await server.close()
})

t.test('a port that is taken is an error, and closing may be repeated', async (t) => {
  const { port, server } = await started(t)
  const options = { port, databaseUrl: '', sidecars: [], isSample: false }
  const second = new DevServer(options)
  await t.rejects(second.listen(), { code: 'EADDRINUSE' })
  await second.close()
  await server.close()
  await server.close()
  const third = new DevServer(options)
  await third.listen()
  await third.close()
})
