import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { CliProcess } from '../../support/child-process.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { exchange } from '../../support/raw-http.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Tests of requests that Node's own client never sends. */

const { url: databaseUrl, query } = await cacheDatabase(t)
const { sidecar, ops, client, log } = await startLiveSidecar(t, { databaseUrl })
const { port } = sidecar

const last = 'Connection: close\r\n'
const get = (key: string, headers = '') =>
  `GET /cache/get?key=${key} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`

function set(key: string, value: string, headers = ''): string {
  const body = JSON.stringify({ key, value })
  const type = 'Content-Type: application/json\r\n'
  return `POST /cache/set HTTP/1.1\r\nHost: localhost\r\n${headers}${type}Content-Length: ${body.length}\r\n\r\n${body}`
}

/** A connection whose client sends its FIN with the last byte. */
function halfClosed(t: Test, sent: string): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  socket.end(sent, 'latin1')
  return text(socket)
}

function isProblem(t: Test, answer: string, status: number, detail: RegExp): void {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `))
  t.match(head, /\r\nContent-Type: application\/problem\+json/)
  t.match(JSON.parse(body), { status, detail })
}

t.test('pipelined requests are answered as if each had waited for the one before', async (t) => {
  for (let round = 0; round < 30; round++) {
    const [before, after] = [`before ${round}`, `after ${round}`]
    await client.set('pipelined', before)
    await client.held('pipelined')
    const answer = await exchange(
      port,
      `${get('pipelined')}${set('pipelined', after)}${get('pipelined')}DELETE /cache/delete?key=pipelined HTTP/1.1\r\nHost: localhost\r\n\r\n${get('pipelined', last)}`,
    )
    const values = [
      ...answer.matchAll(/"value":"([^"]*)"|"db_written":(true)|"db_removed":(true)|"status":(404)/g),
    ]
    t.same(
      values.map(([, ...found]) => found.find((one) => one !== undefined)),
      [before, 'true', after, 'true', '404'],
    )
  }
  t.test('a thousand pipelined requests are answered in order', async (t) => {
    const sets = Array.from({ length: 1_000 }, (_, index) => `${set('many', `${index}`)}${get('many')}`)
    const answer = await exchange(port, `${sets.join('')}${get('many', last)}`)
    const values = [...answer.matchAll(/"value":"(\d+)"/g)].map(([, value]) => Number(value))
    t.same(values, [...Array.from({ length: 1_000 }, (_, index) => index), 999])
  })
})

t.test('a client that has sent its FIN gets its response', async (t) => {
  await query('insert into cache_entries (key, value) values ($1, $2)', ['slow', 'from the database'])
  t.match(await halfClosed(t, get('slow')), /^HTTP\/1.1 200 .*from the database/s)
  t.match(await halfClosed(t, set('half', 'written')), /^HTTP\/1.1 200 .*"db_written":true/s)
  t.match(
    await halfClosed(t, `${set('half', 'again')}${get('half')}`),
    /^HTTP\/1.1 200 .*HTTP\/1.1 200 .*"value":"again"/s,
  )
  t.equal(await halfClosed(t, ''), '')
})

t.test('targets in absolute form are accepted', async (t) => {
  await client.set('absolute', 'found')
  const ask = (target: string, host = 'localhost') =>
    exchange(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  for (const authority of ['localhost', 'LOCALHOST:8025', '127.0.0.1', '[::1]:1', 'localhost.'])
    t.match(await ask(`http://${authority}/cache/get?key=absolute`), /^HTTP\/1.1 200 .*found/s, authority)
  t.match(await ask('http://localhost/health', 'evil.example'), /^HTTP\/1.1 200 /, 'Host does not count')
  t.match(await ask('http://localhost'), /^HTTP\/1.1 200 .*"service"/s)
  for (const authority of ['elsewhere.example', 'user@localhost', 'localhost.evil.example'])
    isProblem(t, await ask(`http://${authority}/secret-path`), 421, /^Host: /)
  for (const target of [
    'http://a:b:c/secret-path',
    'http://[/secret-path',
    'http:///secret-path',
    'ftp://localhost/',
  ])
    isProblem(t, await ask(target), 400, /./)
  t.notMatch(log.join(''), /secret-path/)
})

t.test('no warning from Node shows a URL', async (t) => {
  const process = new CliProcess(t, ['serve'], {
    DATABASE_URL: databaseUrl,
    PORT: '0',
    OPS_PORT: '0',
    OPS_HOST: '127.0.0.1',
  })
  const served = await eventually(() => /"port":(\d+),"msg":"serving/.exec(process.stderr)?.[1])
  const answer = await exchange(
    Number(served),
    `GET http://a:b:c/secret-path HTTP/1.1\r\nHost: localhost\r\n${last}\r\n`,
  )
  isProblem(t, answer, 400, /^URL: /)
  t.notMatch(process.stderr, /secret-path|DEP\d+/)
})

t.test('requests that Node refuses get a problem as their body', async (t) => {
  const start = 'GET /health HTTP/1.1\r\nHost: localhost\r\n'
  const post = `POST /cache/set HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`
  for (const [sent, status, detail] of [
    ['nonsense\r\n\r\n', 400, /not valid HTTP/],
    [`${start}A: ${'a'.repeat(20_000)}\r\n\r\n`, 431, /16384 bytes/],
    [`${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n`, 400, /not valid HTTP/],
    [`${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n`, 400, /not valid HTTP/],
    [`${post}Transfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(20_000)}\r\n`, 413, /chunk extensions/],
    [`${start}Host: localhost\r\n${last}\r\n`, 400, /^Host: given more than once/],
    [`${start}host: evil.example\r\n${last}\r\n`, 400, /^Host: given more than once/],
    [`GET /health HTTP/1.1\r\n${last}\r\n`, 400, /^Host: missing/],
    [`${start}Expect: nonsense\r\n${last}\r\n`, 417, /^Expect: /],
  ] as const)
    isProblem(t, await exchange(port, sent), status, detail)
})

t.test('an unparsable request is answered in its turn', async (t) => {
  await query('insert into cache_entries (key, value) values ($1, $2)', ['first', 'of the first'])
  const statuses = (answer: string) =>
    [...answer.matchAll(/^HTTP\/1\.1 (\d+)|\}HTTP\/1\.1 (\d+)/gm)].map(([, a, b]) => a ?? b)
  const garbage = 'nonsense\r\n\r\n'
  t.same(statuses(await exchange(port, `${get('first')}${garbage}`)), ['200', '400'])
  t.same(statuses(await exchange(port, `${set('first', 'a')}${get('first')}${garbage}`)), [
    '200',
    '200',
    '400',
  ])
  const broken = 'POST /cache/set HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'
  t.same(statuses(await exchange(port, `${set('first', 'b')}${broken}`)), ['200', '400'])
  t.same(statuses(await exchange(port, `${set('first', 'c')}${get('first')}${broken}`)), [
    '200',
    '200',
    '400',
  ])
})

t.test('directives of Cache-Control are found among spaces', async (t) => {
  t.match(
    await exchange(port, get('first', `Cache-Control: max-age=0 ,  NO-CACHE\t, x\r\n${last}`)),
    /fwd=request/,
  )
})

t.test('every response has nosniff', async (t) => {
  for (const path of ['/', '/health', '/cache/get?key=first', '/cache/get?key=none', '/cache/stats', '/nope'])
    t.equal((await client.request('GET', path)).headers['x-content-type-options'], 'nosniff', path)
  for (const path of ['/livez', '/metrics', '/nope'])
    t.equal((await ops.request('GET', path)).headers['x-content-type-options'], 'nosniff', path)
  t.equal((await client.set('first', 1)).headers['x-content-type-options'], 'nosniff')
  t.equal((await client.delete('first')).headers['x-content-type-options'], 'nosniff')
})

t.test('the operations listener checks Host by the same rules', async (t) => {
  for (const path of ['/livez', '/readyz', '/metrics', '/nope'])
    for (const [host, isRefused] of [
      ['evil.example', true],
      ['localhost', false],
      ['10.1.2.3:9025', false],
    ] as const) {
      const { status } = await ops.request('GET', path, { headers: { Host: host } })
      t.equal(status === 421, isRefused, `${path} by ${host}`)
    }
  const named = await startLiveSidecar(t, { databaseUrl, allowedHosts: ['sidecar-1'] })
  t.equal((await named.ops.request('GET', '/metrics', { headers: { Host: 'sidecar-1:9025' } })).status, 200)
})

t.test('connections that never sent an allowed request are closed, counted and logged once', async (t) => {
  const guarded = await startLiveSidecar(t, { databaseUrl })
  const refused = 'GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n'
  const keepAlive = async (sent: string): Promise<Socket> => {
    const socket = connect(guarded.sidecar.port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.write(sent)
    await once(socket, 'data')
    return socket
  }
  for (let index = 0; index < 10; index++) {
    const socket = await keepAlive(refused)
    if (!socket.destroyed) await once(socket.resume(), 'close')
  }
  const admitted = await keepAlive(get('foo'))
  for (let index = 0; index < 2; index++) {
    admitted.write(refused)
    t.match(String((await once(admitted, 'data'))[0]), /^HTTP\/1.1 421 .*Connection: keep-alive/s)
  }
  t.match(
    (await guarded.ops.request('GET', '/metrics')).text,
    /^caching_layer_connections_closed_total\{reason="turned_away"\} 10$/m,
  )
  const lines = guarded.log.filter((line) => line.includes('connections were closed: requests not allowed'))
  t.equal(lines.length, 1)
  t.match(JSON.parse(lines[0] as string), { level: 40, listener: 'data', status: 421, count: 1 })
})
