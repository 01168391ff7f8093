import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../../src/config/load.js'
import { readApiToken } from '../../../src/config/read-api-token.js'
import type { Log } from '../../../src/core/ports.js'
import { BearerToken } from '../../../src/http/access/bearer-token.js'
import { CliProcess, serve } from '../../support/child-process.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import type { Answer, JsonClient } from '../../support/json-client.js'
import { exchange } from '../../support/raw-http.js'
import { recordingLog } from '../../support/recording-log.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const { url: databaseUrl } = await cacheDatabase(t)
const token = 'T0ken-4711'

function isProblem(t: Test, { status, headers, body }: Answer, wanted: number): void {
  t.equal(status, wanted)
  t.match(headers['content-type'], /^application\/problem\+json/)
  t.match(body, { status: wanted, detail: String })
}

/**
 * Requests of each kind: a hit and a set in the fast lane, a miss, a request that Koa answers, and an unknown path.
 */
function everything(
  client: JsonClient,
  headers: Readonly<Record<string, string>>,
): Promise<readonly Answer[]> {
  return Promise.all([
    client.request('GET', '/cache/get?key=held', { headers }),
    client.request('GET', '/cache/get?key=missing', { headers }),
    client.request('POST', '/cache/set', { headers, body: { key: 'held', value: 'by a stranger' } }),
    client.request('POST', '/cache/set', { headers, raw: ['{"key":"held",', '"value":"by a stranger"}'] }),
    client.request('DELETE', '/cache/delete?key=held', { headers }),
    client.request('GET', '/cache/get?key=held&consistency=strong', { headers }),
    client.request('GET', '/cache/stats', { headers }),
    client.request('GET', '/', { headers }),
    client.request('GET', '/nope', { headers }),
  ])
}

t.test('requests with a foreign Host are refused', async (t) => {
  const { client, ops, sidecar } = await startLiveSidecar(t, {
    databaseUrl,
    allowedHosts: ['cache.example', 'Other.Example'],
  })
  await client.set('held', 'ours')
  await client.held('held')

  for (const host of [
    'evil.example',
    'evil.example:8025',
    'localhost.evil.example',
    'cache.example.evil',
    '[::1',
    '127.0.0.1.evil.example',
    '0x7f.1',
    'a b',
    'localhost..',
    '.localhost',
    'localhost:8025:1',
    'evil.example#localhost',
  ]) {
    for (const answer of await everything(client, { Host: host })) isProblem(t, answer, 421)
    isProblem(t, await client.request('GET', '/health', { headers: { Host: host } }), 421)
  }
  t.match(await client.get('held'), { body: { value: 'ours', source: 'cache' } }, 'nothing was changed')

  for (const host of [
    'localhost',
    'LOCALHOST:8025',
    '127.0.0.1',
    '127.0.0.1:1',
    '[::1]',
    '[::1]:8025',
    '10.1.2.3:8025',
    '[fe80::1]',
    'localhost.',
    'localhost.:8025',
    'cache.example.',
    'cache.example',
    'CACHE.example:80',
    'other.example',
  ]) {
    const answer = await client.request('GET', '/cache/get?key=held', { headers: { Host: host } })
    t.equal(answer.status, 200, host)
    t.match((await client.request('GET', '/health', { headers: { Host: host } })).status, 200, host)
  }
  const kept = (host: string) => `GET /cache/get?key=held HTTP/1.1\r\nHost: ${host}\r\n`
  const pipelined = `${kept('localhost')}\r\n${kept('evil.example')}Connection: close\r\n\r\n`
  t.match(
    await exchange(sidecar.port, pipelined),
    /^HTTP\/1.1 200 [\s\S]*HTTP\/1.1 421 /,
    'on one connection',
  )
  t.match(
    await exchange(sidecar.port, 'GET /health HTTP/1.0\r\n\r\n'),
    /^HTTP\/1.1 200 /,
    'no Host: no browser',
  )

  const metrics = (await ops.request('GET', '/metrics')).text
  t.match(metrics, /requests_total\{[^}]*route="other",outcome="refused"/, 'they are counted')
})

t.test('CACHE_ALLOWED_HOSTS can allow any name', async (t) => {
  const { client } = await startLiveSidecar(t, { databaseUrl, allowedHosts: ['*'] })
  t.equal((await client.request('GET', '/', { headers: { Host: 'anything.example' } })).status, 200)
})

t.test('a token is required if it is set', async (t) => {
  const { client, log, ops } = await startLiveSidecar(t, { databaseUrl })
  await client.set('held', 'ours')
  const guarded = await startGuarded(t)
  const right = { Authorization: `Bearer ${token}` }

  const wrong = [
    'Bearer',
    'Bearer ',
    `Bearer ${token}x`,
    `Bearer ${token.slice(1)}`,
    `Bearer ${token.toLowerCase()}`,
    `Basic ${token}`,
    token,
    `Bearer ${token}, Bearer ${token}`,
  ]
  for (const headers of [{}, ...wrong.map((text) => ({ Authorization: text }))]) {
    for (const answer of await everything(guarded.client, headers)) {
      isProblem(t, answer, 401)
      t.equal(answer.headers['www-authenticate'], 'Bearer')
    }
  }
  t.equal((await guarded.client.request('GET', '/health')).status, 200, 'probes of old have none')
  t.equal((await guarded.client.request('GET', '/health?a', {})).status, 401, 'and ask for nothing else')
  t.equal((await guarded.ops.request('GET', '/readyz')).status, 200)

  const read = () => guarded.client.request('GET', '/cache/get?key=held', { headers: right })
  await eventually(async () => (await read()).body.source === 'cache')
  t.match(await read(), { status: 200, body: { value: 'ours' } }, 'hits, too')
  const lower = { Authorization: `bearer ${token}` }
  t.equal((await guarded.client.request('GET', '/', { headers: lower })).status, 200, 'schemes know no case')
  isProblem(t, (await everything(guarded.client, { ...right, Host: 'evil.example' }))[0] as Answer, 421)
  t.notMatch([...guarded.log, ...log].join(), token, 'it is not logged')
  t.notMatch((await ops.request('GET', '/metrics')).text, token)
})

async function startGuarded(t: Test) {
  // It is live when it says so where no token is needed.
  const started = await startSidecar(t, { databaseUrl, apiToken: token })
  await eventually(async () => (await started.client.request('GET', '/health')).body.feed === 'live')
  return started
}

t.test('a token in a file', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-test-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const file = join(folder, 'token')

  await t.test('is trimmed', async (t) => {
    await writeFile(file, `\n ${token}\n`)
    const { client } = await serve(t, { DATABASE_URL: databaseUrl, CACHE_API_TOKEN_FILE: file })
    t.equal((await client.request('GET', '/')).status, 401)
    t.equal((await client.request('GET', '/', { headers: { Authorization: `Bearer ${token}` } })).status, 200)
  })

  await t.test('a start without it is refused in one line', async (t) => {
    const missing = { DATABASE_URL: databaseUrl, CACHE_API_TOKEN_FILE: join(folder, 'missing') }
    const refused = new CliProcess(t, ['serve'], { ...missing, OPS_PORT: '0', PORT: '0' })
    t.same(await refused.exited, { code: 2, signal: null })
    t.match(refused.stderr, /^\{.*"msg":"starting"\}\ncaching-layer: CACHE_API_TOKEN_FILE: [^\n]+\n$/)

    await writeFile(join(folder, 'two lines'), `${token}\n${token}`)
    await writeFile(join(folder, 'empty'), '\n')
    const both = await Promise.allSettled([
      readApiToken({ apiToken: undefined, apiTokenFile: join(folder, 'two lines') }),
      readApiToken({ apiToken: undefined, apiTokenFile: join(folder, 'empty') }),
      readApiToken({ apiToken: token, apiTokenFile: file }),
    ])
    for (const outcome of both) {
      t.match(outcome, {
        status: 'rejected',
        reason: { name: 'ConfigError', message: /^CACHE_API_TOKEN_FILE: / },
      })
      t.notMatch(String((outcome as PromiseRejectedResult).reason), token, 'it is not shown')
    }
  })

  await t.test('may be replaced', async (t) => {
    const said = { text: 'first' as string | undefined }
    const { log, logged } = recordingLog()
    const bearer = new BearerToken({
      read: async () => said.text ?? Promise.reject(new Error('gone')),
      rereadMs: 1,
      log: log as Log,
    })
    t.notOk(bearer.isIn('Bearer first'), 'not read yet')
    await bearer.start()
    t.teardown(() => bearer.close())
    t.ok(bearer.isIn('Bearer first'))
    said.text = 'second'
    await eventually(() => bearer.isIn('Bearer second'))
    t.notOk(bearer.isIn('Bearer first'))
    said.text = undefined
    await eventually(() => logged.length > 0)
    t.ok(bearer.isIn('Bearer second'), 'the last token stays valid while there is none')
    said.text = 'third'
    await eventually(() => bearer.isIn('Bearer third'))
    t.equal(logged.length, 1)
  })
})

t.test('CORS preflights of web pages are refused', async (t) => {
  const { client } = await startLiveSidecar(t, { databaseUrl })
  const origin = { Origin: 'https://page.example' }
  await client.set('held', 'ours')
  const answers = [...(await everything(client, origin))]
  for (const [path, method] of [
    ['/cache/set', 'POST'],
    ['/cache/delete?key=held', 'DELETE'],
    ['/cache/get?key=held', 'GET'],
    ['/', 'GET'],
  ] as const) {
    answers.push(
      await client.request('OPTIONS', path, {
        headers: {
          ...origin,
          'Access-Control-Request-Method': method,
          'Access-Control-Request-Headers': 'content-type',
        },
      }),
    )
  }
  for (const { headers } of answers) {
    t.same(
      Object.keys(headers).filter((name) => name.startsWith('access-control-')),
      [],
    )
  }
  await client.set('held', 'ours')
  // Requests that a page may send without a preflight.
  for (const type of [
    'text/plain',
    'text/plain; a=application/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=a',
  ]) {
    const raw = JSON.stringify({ key: 'held', value: 'by a page' })
    isProblem(
      t,
      await client.request('POST', '/cache/set', { raw, headers: { ...origin, 'Content-Type': type } }),
      415,
    )
  }
  isProblem(t, await client.request('POST', '/cache/delete?key=held', { headers: origin }), 405)
  t.equal(await client.value('held'), 'ours')
})

t.test('invalid settings are refused', async (t) => {
  const texts: readonly (readonly [variable: string, text: string])[] = [
    ['CACHE_API_TOKEN', `${token} ${token}`],
    ['CACHE_ALLOWED_HOSTS', 'http://cache.example'],
    ['CACHE_ALLOWED_HOSTS', 'cache.example:80'],
    ['CACHE_ALLOWED_HOSTS', 'cache.example,,'],
    ['CACHE_SOCKET', 'relative'],
    ['CACHE_SOCKET', `/${'x'.repeat(107)}`],
    ['CACHE_MAX_CONNECTIONS', '0'],
  ]
  for (const [variable, text] of texts) {
    const error = t.throws(() => loadConfig({ [variable]: text }), { name: 'ConfigError' })
    t.match(String(error), `${variable}: must be `)
    t.notMatch(String(error), token)
  }
  const { allowedHosts } = loadConfig({ CACHE_ALLOWED_HOSTS: 'a.example, b' }).config
  t.same(allowedHosts, ['a.example', 'b'])
})
