import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CliProcess, clientOf, serve, untilLive } from '../support/child-process.js'
import { freshDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'
import { guestOf } from '../support/guest.js'
import { shell } from '../support/shell.js'
import { silentServer } from '../support/silent-server.js'

const database = await freshDatabase(t)
const guest = await guestOf(t, database)
const sidecar = await serve(t, { DATABASE_URL: guest.url })
await untilLive(sidecar)
const { base } = sidecar.client
const { port, hostname } = new URL(base)

async function run(t: Test, ...args: readonly string[]) {
  const process = new CliProcess(t, args, { HOST: hostname, PORT: port })
  const { code } = await process.exited
  return { code, out: process.stdout, said: process.stderr }
}

t.test('set, get and del', async (t) => {
  t.same(await run(t, 'set', 'greeting', 'hello\nworld'), { code: 0, out: '', said: '' })
  t.same(await run(t, 'get', 'greeting'), { code: 0, out: 'hello\nworld\n', said: '' })
  t.same(await run(t, 'set', '--json', 'flags', '{"beta":true}'), { code: 0, out: '', said: '' })
  t.same(await run(t, 'get', 'flags', '--strong'), { code: 0, out: '{"beta":true}\n', said: '' })
  const whole = await run(t, 'get', 'flags', '--json')
  t.match(JSON.parse(whole.out), { key: 'flags', value: { beta: true }, source: /cache|db/ })
  t.same(await run(t, 'del', 'flags'), { code: 0, out: '', said: '' })
  t.same(await run(t, 'get', 'flags'), { code: 1, out: '', said: 'no such entry\n' })
  t.same(await run(t, 'del', 'flags'), {
    code: 0,
    out: '',
    said: 'the entry did not exist in the database\n',
  })
  t.equal((await run(t, 'get', 'greeting', `--url=${base}`)).out, 'hello\nworld\n')
})

t.test('several keys, and removal by prefix and group', async (t) => {
  for (const key of ['many:1', 'many:2', 'many:3']) await sidecar.client.set(key, { n: 1.0 })
  const several = await run(t, 'get', 'many:1', 'many:2')
  t.equal(several.code, 0)
  t.match(
    several.out.split('\n', 2).map((line) => JSON.parse(line)),
    ['many:1', 'many:2'].map((key) => ({ key, value: { n: 1 }, source: 'cache', etag: String })),
  )
  t.match(await run(t, 'get', 'many:1', 'none', '--strong'), {
    code: 1,
    out: /^{"key":"many:1","value":{"n":1}.*}\n$/,
    said: 'no such entry: "none"\n',
  })
  t.match(JSON.parse((await run(t, 'get', 'many:1', 'none', '--json')).out), { missing: ['none'] })

  t.same(await run(t, 'del', '--prefix=many:'), { code: 0, out: '', said: '3 deleted\n' })
  t.match(await run(t, 'del', 'many:1', '--prefix=many:'), { code: 2, said: /a key or --prefix, not both/ })
  await sidecar.client.request('POST', '/cache/set', { body: { key: 'grouped', value: 1, groups: ['g'] } })
  t.match(JSON.parse((await run(t, 'list', '--prefix=grouped', '--json')).out), { groups: ['g'] })
  t.same(await run(t, 'invalidate', '--group=g', 'another'), { code: 0, out: '1 removed\n', said: '' })
  t.match(await run(t, 'invalidate'), { code: 2, said: /name keys, --group, --prefix or --all/ })
})

t.test('list', async (t) => {
  await sidecar.client.set('list:0', 'x')
  // More than two pages, whose order is that of the bytes.
  await database.query(
    "insert into cache_entries (key, value, expires_at) select 'list:' || n, n, 'infinity' from generate_series(1, 2100) n",
  )
  await database.query("insert into cache_entries (key, value) values ('liste', 'x'), ('list:%', 'x')")
  const keys = ['list:%', ...Array.from({ length: 2_101 }, (_, index) => `list:${index}`).sort()]
  t.same(await run(t, 'list', '--prefix=list:'), { code: 0, out: `${keys.join('\n')}\n`, said: '' })
  t.same(await run(t, 'list', '--prefix=list:%'), { code: 0, out: 'list:%\n', said: '' })
  t.same(await run(t, 'list', '--prefix=nothing'), { code: 0, out: '', said: '' })
  const { out } = await run(t, 'list')
  t.ok(out.includes('\nliste\n'), 'without a prefix all are listed')
  const [line, ...others] = (await run(t, 'list', '--prefix=list:2100', '--json')).out.split('\n')
  t.match(JSON.parse(line as string), {
    key: 'list:2100',
    version: /^\d+$/,
    size: 4,
    expires_in_seconds: null,
  })
  t.same(others, [''])
  const inPart = await shell(t, `'${process.execPath}' dist/main.js list | head -n 1`, {
    HOST: hostname,
    PORT: port,
  })
  t.equal(inPart.stdout.split('\n').length, 2, 'a reader may stop early')
  t.equal(inPart.stderr, '')
  t.match(await run(t, 'list', 'list:'), { code: 2, out: '', said: /list: / })
  t.match(await run(t, 'list', `--prefix=${'a'.repeat(1_025)}`), {
    code: 1,
    said: 'caching-layer: prefix: longer than 1024 bytes of UTF-8\n',
  })
})

t.test('numbers keep all their digits, and members their order', async (t) => {
  for (const value of ['12345678901234567890', '1.10', '{"z":1.0,"1":-0}', '[ 1e2 ]']) {
    t.same(await run(t, 'set', '--json', 'exact', value), { code: 0, out: '', said: '' })
    t.equal((await run(t, 'get', 'exact')).out, `${value}\n`)
    t.ok((await run(t, 'get', 'exact', '--json')).out.includes(`"value":${value},`))
    t.equal((await run(t, 'get', 'exact', '--strong')).out, `${value}\n`)
  }
})

t.test('set --ttl', async (t) => {
  t.same(await run(t, 'set', 'expiring', 'x', '--ttl=3600.5'), { code: 0, out: '', said: '' })
  t.equal((await run(t, 'get', 'expiring')).out, 'x\n')
  const { rows } = await database.query<{ minutes: number }>(
    "select ceil(extract(epoch from expires_at - now()) / 60)::int as minutes from cache_entries where key = 'expiring'",
  )
  t.ok([60, 61].includes(rows[0]?.minutes ?? 0), `${rows[0]?.minutes} minutes`)
  for (const ttl of ['-1', '1m', '1e3', '0', '0.0', '0.0009', '1000000000.1', '9'.repeat(400)])
    t.match(await run(t, 'set', 'expiring', 'x', `--ttl=${ttl}`), {
      code: 2,
      said: /set: --ttl must be a number of seconds from 0\.001 to 1000000000, not/,
    })
  for (const ttl of ['1000000000', '0.001'])
    t.equal((await run(t, 'set', 'expiring', 'x', `--ttl=${ttl}`)).code, 0, ttl)
})

t.test('set reads a value from stdin', async (t) => {
  const set = new CliProcess(t, ['set', 'piped', '-'], { PORT: port }, { stdin: 'pipe' })
  set.child.stdin?.end('from a pipe')
  t.equal((await set.exited).code, 0)
  t.equal((await run(t, 'get', 'piped')).out, 'from a pipe\n')
})

t.test('wrong use and refusals of the sidecar have their exit codes', async (t) => {
  for (const [args, said] of [
    [['get'], /get: name at least one key/],
    [['del', 'a', 'b'], /del: name one key/],
    [['invalidate', '--group=a', '--group=b'], /invalidate: --group: given more than once/],
    [['set', 'a'], /set: name a key and a value/],
    [['set', 'a', '{', '--json'], /must be JSON/],
    [['get', 'a', '--url=ftp://x'], /is not a URL/],
    [['get', 'a', `--url=${base}/cache`], /is not a URL/],
    [['watch', '--seconds=0'], /--seconds/],
    [['wait', '--timeout=long'], /--timeout/],
    [['wait', '--timeout='], /wait: --timeout must not be empty/],
    [['set', 'a', 'x', '--ttl='], /set: --ttl must not be empty/],
    [['del', '--prefix='], /del: --prefix must not be empty\n$/],
    [['list', '--prefix', ''], /list: --prefix must not be empty/],
    [['invalidate', '--prefix='], /invalidate: --prefix must not be empty\n$/],
    [['invalidate', '--group='], /invalidate: --group must not be empty/],
    [['invalidate', 'a', '--all'], /invalidate: --all excludes keys, --group and --prefix/],
    [['invalidate', '--all', '--group=g'], /invalidate: --all excludes/],
    [['migrate', '--owner='], /migrate: --owner must not be empty/],
    [['bench', '--compare='], /bench: --compare must not be empty/],
    [['get', 'a', '--url='], /get: --url must not be empty/],
  ] as const) {
    const { code, said: told, out } = await run(t, ...args)
    t.equal(code, 2)
    t.match(told, said)
    t.equal(out, '')
  }
  t.same(await run(t, 'set', '', 'x'), { code: 1, out: '', said: 'caching-layer: key: must not be empty\n' })
  const nobody = await run(t, 'get', 'a', '--url=http://127.0.0.1:1')
  t.equal(nobody.code, 3, 'it is not known if there is an entry')
  t.match(nobody.said, /^caching-layer: http:\/\/127\.0\.0\.1:1: .*ECONNREFUSED.*\n$/)
})

t.test('stats and watch', async (t) => {
  const { code, out } = await run(t, 'stats')
  t.equal(code, 0)
  t.match(out, /^size \d+$/m)
  t.match(out, /^feed\.state live$/m)
  t.match(JSON.parse((await run(t, 'stats', '--json')).out), { capacity: 1000, feed: { state: 'live' } })
  const watch = new CliProcess(t, ['watch', '--seconds=0.1'], { PORT: port })
  await eventually(() => watch.stdout.split('\n').length > 3)
  t.match(
    watch.stdout,
    /^reads \d+\/s {2}hits .*changes \d+\/s {2}entries \d+ {2}feed live, proven \d+ ms ago$/m,
  )
  watch.kill('SIGINT')
  t.equal((await watch.exited).code, 0)
})

t.test('every command that asks a sidecar takes a URL, and names the right listener', async (t) => {
  const ops = sidecar.ops.base
  t.equal((await run(t, 'stats', `--url=${base}/`)).code, 0)
  t.match(await run(t, 'healthcheck', `--url=${ops}`), { code: 0, out: 'alive\n' })
  t.equal((await run(t, 'wait', `--url=${ops}/`)).code, 0)
  for (const args of [
    ['stats'],
    ['get', 'a'],
    ['set', 'a', 'b'],
    ['del', 'a'],
    ['list'],
    ['watch'],
    ['bench'],
  ])
    t.same(
      await run(t, ...args, `--url=${ops}`),
      {
        code: 2,
        out: '',
        said: `caching-layer: ${ops} is the operations listener of a sidecar; name its data listener (PORT, 8025 by default)\n`,
      },
      args.join(' '),
    )
  for (const command of ['wait', 'healthcheck'])
    t.same(
      await run(t, command, `--url=${base}`),
      {
        code: 2,
        out: '',
        said: `caching-layer: ${base} is the data listener of a sidecar; name its operations listener (OPS_PORT, 9025 by default)\n`,
      },
      command,
    )
})

t.test('watch survives a restart of the sidecar', async (t) => {
  const first = await serve(t, { DATABASE_URL: guest.url })
  const at = new URL(first.client.base).port
  await first.client.set('watched', 'x')
  const watch = new CliProcess(t, ['watch', '--seconds=0.1'], { HOST: '127.0.0.1', PORT: at })
  const lines = () => watch.stdout.split('\n').length
  await eventually(() => lines() > 2)
  first.kill('SIGTERM')
  await first.exited
  await eventually(() => /^waiting for the sidecar: .*ECONNREFUSED/m.test(watch.stderr))
  await serve(t, { DATABASE_URL: guest.url, HOST: '127.0.0.1', PORT: at })
  await eventually(() => watch.stderr.includes('the sidecar answers again\n'))
  const before = lines()
  await eventually(() => lines() > before + 1)
  t.notMatch(watch.stdout, /-\d+\/s/, 'no rate is negative')
  watch.kill('SIGINT')
  t.equal((await watch.exited).code, 0)
  const nobody = new CliProcess(t, ['watch'], { PORT: '1' })
  t.equal((await nobody.exited).code, 1, 'one that was never there is an error')
})

t.test('watch shows a sidecar while another one is silent', async (t) => {
  const silent = await silentServer(t)
  const other = `http://${new URL(silent.url).host}`
  const watch = new CliProcess(t, ['watch', '--seconds=0.1', `--url=${base}`, `--url=${other}`], {})
  await eventually(() => watch.stdout.includes(`${base}  reads`))
  t.equal(silent.openConnections(), 1, 'the silent one has not been given up')
  await eventually(() => watch.stderr.includes(`${other}: waiting for the sidecar: no answer within`))
  watch.kill('SIGINT')
  t.equal((await watch.exited).code, 0)
})

t.test('wait ends when the sidecar is ready, or after its timeout', async (t) => {
  const ready = await run(t, 'wait', `--url=${sidecar.ops.base}`)
  t.same(ready, { code: 0, out: '', said: '' })
  const nobody = await run(t, 'wait', '--timeout=0', '--url=http://127.0.0.1:1')
  t.equal(nobody.code, 1)
  t.match(nobody.said, /not ready: .*ECONNREFUSED/)
  await guest.shutOut()
  const late = await serve(t, { DATABASE_URL: guest.url })
  const waiting = new CliProcess(t, ['wait', '--timeout=30', `--url=${late.ops.base}`], {})
  await eventually(() => /waiting: .*not caught up/.test(waiting.stderr))
  t.notOk(waiting.hasExited)
  t.match(await run(t, 'set', 'kept', 'x'), {
    code: 0,
    said: 'pending: the sidecar writes it when the database is available\n',
  })
  t.match(await run(t, 'del', 'kept'), {
    code: 0,
    said: 'pending: the sidecar deletes it when the database is available\n',
  })
  await guest.letIn()
  t.equal((await waiting.exited).code, 0)
})

t.test('a sidecar with a token on a Unix socket can be used', async (t) => {
  // A socket's path has to be short.
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const socket = join(folder, 'sidecar.sock')
  const guarded = new CliProcess(t, ['serve'], {
    DATABASE_URL: guest.url,
    OPS_PORT: '0',
    CACHE_SOCKET: socket,
    CACHE_API_TOKEN: 'let-me-in-please',
  })
  const ops = await clientOf(guarded, 'answering probes')
  await eventually(async () => (await ops.request('GET', '/readyz')).status === 200)
  const asked = async (environment: Record<string, string>, ...args: readonly string[]) => {
    const process = new CliProcess(t, args, { CACHE_SOCKET: socket, ...environment })
    const { code } = await process.exited
    return { code, out: process.stdout, said: process.stderr }
  }
  const token = { CACHE_API_TOKEN: 'let-me-in-please' }
  t.same(await asked(token, 'set', 'guarded', 'value'), { code: 0, out: '', said: '' })
  t.same(await asked(token, 'get', 'guarded'), { code: 0, out: 'value\n', said: '' })
  t.match(await asked({}, 'get', 'guarded'), { code: 3, out: '', said: /token/ })
})

t.test('get and list escape control characters on a terminal', async (t) => {
  const value = 'a\u001b]0;title\u0007\tb\nc\r\u009b31mé'
  await sidecar.client.set('odd', value)
  const program = `'${process.execPath}' dist/main.js get odd`
  const onTerminal = await shell(t, `script -qec "${program}" /dev/null`, { HOST: hostname, PORT: port })
  t.equal(onTerminal.stdout.replaceAll('\r\n', '\n'), 'a\\x1b]0;title\\x07\tb\nc\\x0d\\x9b31mé\n')
  t.equal((await run(t, 'get', 'odd')).out, `${value}\n`, 'elsewhere it is as it is')
  await sidecar.client.set(value, 'x')
  const list = `'${process.execPath}' dist/main.js list --prefix=a`
  const keys = await shell(t, `script -qec "${list}" /dev/null`, { HOST: hostname, PORT: port })
  t.equal(keys.stdout.replaceAll('\r\n', '\n'), 'a\\x1b]0;title\\x07\tb\nc\\x0d\\x9b31mé\n')
  t.equal((await run(t, 'list', '--prefix=a')).out, `${value}\n`)
})
