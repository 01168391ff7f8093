import { once } from 'node:events'
import { lstat, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { CliProcess } from '../../support/child-process.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'

const { url: databaseUrl } = await cacheDatabase(t)
const folder = await mkdtemp(join(tmpdir(), 'caching-layer-test-'))
t.teardown(() => rm(folder, { recursive: true }))

interface Served {
  readonly process: CliProcess
  readonly socketPath: string
}

function start(t: Test, socketPath: string, environment: Readonly<Record<string, string>> = {}): CliProcess {
  return new CliProcess(t, ['serve'], {
    DATABASE_URL: databaseUrl,
    CACHE_SOCKET: socketPath,
    OPS_PORT: '0',
    ...environment,
  })
}

async function serving(t: Test, name: string): Promise<Served> {
  const socketPath = join(folder, name)
  const process = start(t, socketPath)
  await eventually(() => process.hasExited || process.log.find(({ msg }) => msg === 'serving'))
  t.match(
    process.log.find(({ msg }) => msg === 'serving'),
    { socket: socketPath },
    process.stderr,
  )
  return { process, socketPath }
}

async function ask(
  socketPath: string,
  method: string,
  path: string,
  options: { body?: unknown; host?: string } = {},
) {
  const sent = request({
    socketPath,
    method,
    path,
    agent: false,
    headers: {
      Host: options.host ?? 'localhost',
      ...(options.body !== undefined && { 'Content-Type': 'application/json' }),
    },
  })
  sent.end(options.body === undefined ? undefined : JSON.stringify(options.body))
  const [response] = await once(sent, 'response')
  return {
    status: response.statusCode as number,
    body: JSON.parse(await text(response)) as Record<string, unknown>,
  }
}

t.test(
  'the data listener on a Unix socket',
  { skip: process.platform === 'win32' && 'no such sockets' },
  async (t) => {
    const { process: first, socketPath } = await serving(t, 'socket')

    await t.test('the socket is accessible to the group', async (t) => {
      const { mode } = await lstat(socketPath)
      t.equal((mode & 0o777).toString(8), '660')
      t.notMatch(first.stderr, /"port":8025/, 'in place of the port')
    })

    await t.test('the socket gives the same responses', async (t) => {
      t.match(await ask(socketPath, 'POST', '/cache/set', { body: { key: 'foo', value: 'bar' } }), {
        status: 200,
      })
      const read = () => ask(socketPath, 'GET', '/cache/get?key=foo')
      await eventually(async () => (await read()).body.source === 'cache')
      t.match(await read(), { status: 200, body: { value: 'bar' } })
      t.match(await ask(socketPath, 'GET', '/cache/stats'), { status: 200 })
      t.equal((await ask(socketPath, 'GET', '/cache/get?key=foo', { host: 'evil.example' })).status, 421)
    })

    await t.test('a socket in use is not replaced', async (t) => {
      const second = start(t, socketPath)
      t.same(await second.exited, { code: 1, signal: null })
      t.match(second.stderr, /caching-layer: CACHE_SOCKET: another process listens on [^\n]+\n$/)
      t.equal((await ask(socketPath, 'GET', '/health')).status, 200, 'the first one still answers')
    })

    await t.test('the socket is removed at the end', async (t) => {
      first.kill('SIGTERM')
      t.same(await first.exited, { code: 0, signal: null })
      await t.rejects(lstat(socketPath), { code: 'ENOENT' })
    })

    await t.test('a socket of a killed process is replaced', async (t) => {
      const { process: killed } = await serving(t, 'socket')
      killed.kill('SIGKILL')
      await killed.exited
      t.ok((await lstat(socketPath)).isSocket(), 'it is left behind')
      await serving(t, 'socket')
      t.equal((await ask(socketPath, 'GET', '/health')).status, 200)
    })

    await t.test('the socket does not replace another file', async (t) => {
      const file = join(folder, 'file')
      await writeFile(file, 'precious')
      const refused = start(t, file)
      t.same(await refused.exited, { code: 1, signal: null })
      t.match(refused.stderr, /caching-layer: CACHE_SOCKET: [^\n]+ exists and is not a socket\n$/)
      t.equal(await readFile(file, 'utf8'), 'precious')
    })
  },
)
