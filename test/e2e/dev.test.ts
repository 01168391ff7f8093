import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, realpath, rm, truncate } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import t, { type Test } from 'tap'
import { CliProcess } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { freePorts, occupy } from '../support/free-ports.js'
import { JsonClient } from '../support/json-client.js'
import { shell } from '../support/shell.js'

const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

/** Returns a folder that every user may enter, as PostgreSQL's user must if this runs as root. */
async function freshFolder(t: Test): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'caching-layer-dev-')))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  return folder
}

/** Returns the process id of the PostgreSQL server that runs on the data in a folder; undefined if none does. */
async function postmasterIn(cwd: string): Promise<number | undefined> {
  const text = await readFile(join(cwd, '.data', 'postgres', 'cluster', 'postmaster.pid'), 'utf8').catch(
    () => '',
  )
  return text === '' ? undefined : Number(text.split('\n')[0])
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

t.test('dev starts a PostgreSQL server and two sidecars, and leaves nothing running', async (t) => {
  const cwd = await freshFolder(t)
  const postmaster = () => postmasterIn(cwd)
  const session = async (t: Test, firstValue: unknown) => {
    const port = await freePorts(3)
    const dev = new CliProcess(t, ['dev'], { PORT: String(port), OPS_PORT: '0' }, { cwd })
    await eventually(() => dev.hasExited || dev.stdout.includes('Ctrl-C'), { withinMs: 60_000 })
    t.notOk(dev.hasExited, dev.stderr)
    const [a, b, sql] = [0, 1, 2].map((index) => new JsonClient(`http://127.0.0.1:${port + index}`)) as [
      JsonClient,
      JsonClient,
      JsonClient,
    ]
    for (const client of [a, b, sql]) t.match(dev.stdout, client.base, 'the addresses are printed')
    const pages = dev.stdout.match(/http:\S+\/ui\//g) ?? []
    t.equal(pages.length, 2, 'the page of each sidecar')
    for (const page of pages) t.match(await (await fetch(page)).text(), /<title>caching-layer<\/title>/)
    t.equal(await b.value('foo'), firstValue, 'the data of the last time')

    t.match(dev.stdout, /^ {2}psql postgresql:\/\/cache_user:cache_pass@127\.0\.0\.1:\d+\/cache_db$/m)
    const curls = dev.stdout.split('\n').filter((line) => line.trim().startsWith('curl '))
    t.equal(curls.length, 3)
    const body = /-d '([^']*)'/.exec(curls[0] ?? '')?.[1] ?? ''
    t.match((await a.request('POST', '/cache/set', { raw: body })).body, { ok: true, db_written: true })
    await eventually(async () => (await b.value('foo')) === 'bar')
    const statement = /-d "([^"]*)"/.exec(curls[2] ?? '')?.[1] ?? ''
    // As a reader runs it: every response ends with a newline.
    const lines = (await shell(t, curls[2] ?? '')).stdout.split('\n')
    t.match(lines, ['UPDATE 1', /^\{.*\}$/, /^\{.*\}$/, ''])
    t.equal(lines.length, 4)
    const changed = await sql.request('POST', '/', {
      raw: statement,
      headers: { 'Content-Type': 'application/sql' },
    })
    t.strictSame([changed.status, changed.text], [200, 'UPDATE 1\n'])
    for (const client of [a, b]) await eventually(async () => (await client.value('foo')) === 'by SQL')

    const role = await sql.request('POST', '/', {
      raw: 'select rolsuper from pg_roles where rolname = current_user',
      headers: { 'Content-Type': 'application/sql' },
    })
    t.equal(role.text, '[{"rolsuper":false}]\n', 'the owner is no superuser')

    const refused = await sql.request('POST', '/', {
      raw: statement,
      headers: { 'Content-Type': 'text/plain' },
    })
    t.equal(refused.status, 415)
    const broken = await sql.request('POST', '/', {
      raw: 'no SQL',
      headers: { 'Content-Type': 'application/sql' },
    })
    t.equal(broken.status, 422)

    const pid = await postmaster()
    t.type(pid, 'number', 'the server runs')
    dev.kill('SIGINT')
    t.strictSame(await dev.exited, { code: 0, signal: null })
    t.equal(await postmaster(), undefined, 'no lock file is left')
    t.throws(() => process.kill(Number(pid), 0), { code: 'ESRCH' }, 'no server is left')
    for (const client of [a, b, sql]) await t.rejects(client.request('GET', '/'), { code: 'ECONNREFUSED' })
    t.ok(existsSync(join(cwd, '.data')), 'the data stay')
  }
  await t.test('on the first start', (t) => session(t, undefined))
  await t.test('on the second start', (t) => session(t, 'by SQL'))
})

t.test('--sample binds tables with data, and prints what to try', async (t) => {
  const cwd = await freshFolder(t)
  const session = async (t: Test) => {
    const port = await freePorts(3)
    const dev = new CliProcess(t, ['dev', '--sample'], { PORT: String(port), OPS_PORT: '0' }, { cwd })
    await eventually(() => dev.hasExited || dev.stdout.includes('Ctrl-C'), { withinMs: 60_000 })
    t.notOk(dev.hasExited, dev.stderr)
    const lines = dev.stdout.split('\n').map((line) => line.trim())
    const [first, second] = lines.filter((line) => line.includes('key=product:1'))
    const [, url = '', statement = ''] =
      /^psql (\S+) -c "(.*)"$/m.exec(lines.find((line) => line.includes(' -c ')) ?? '') ?? []
    const read = async (line = '') => JSON.parse((await shell(t, line)).stdout).value
    // On a slow machine, the first answers can be 503.
    const before = await eventually(() => read(first))
    t.match(before, { id: 1, name: 'Espresso cup' })
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query(statement)
    await eventually(async () => (await read(second)).price === before.price + 1)
    const other = new JsonClient(`http://127.0.0.1:${port}`)
    t.match(await other.value('review:1'), { id: 1, product_id: 1, stars: 5 })
    const [page, pageAfter] = lines.filter((line) => line.includes('key=product_page:1'))
    const starsOf = async (line = '') =>
      ((await read(line)) as { reviews: { stars: number }[] }).reviews.map(({ stars }) => stars)
    const [, ofReview] = [...dev.stdout.matchAll(/^ *psql \S+ -c "(.*)"$/gm)]
    const [five, stars = 0] = await starsOf(page)
    t.equal(five, 5)
    await client.query(ofReview?.[1] ?? '')
    await eventually(async () => (await starsOf(pageAfter))[1] === (stars % 5) + 1)
    t.match((await other.set('product:1', 'mine')).status, 409)
    await client.end()
    dev.kill('SIGINT')
    t.strictSame(await dev.exited, { code: 0, signal: null })
    return before.price
  }
  let price = 0
  await t.test('on the first start', async (t) => {
    price = await session(t)
  })
  await t.test('on the second start, which keeps the data', async (t) => {
    t.equal(await session(t), price + 1)
  })
})

t.test('the ports of dev are flags, and one that is taken is named', async (t) => {
  const cwd = await freshFolder(t)
  const port = await freePorts(7)
  const [ops, sql, postgres] = [port + 2, port + 4, port + 5]
  const flags = [`--port=${port}`, `--ops-port=${ops}`, `--sql-port=${sql}`, `--postgres-port=${postgres}`]
  const dev = new CliProcess(t, ['dev', ...flags], {}, { cwd })
  await eventually(() => dev.hasExited || dev.stdout.includes('Ctrl-C'), { withinMs: 120_000 })
  t.match(dev.stdout, `psql postgresql://cache_user:cache_pass@127.0.0.1:${postgres}/cache_db`)
  t.match(dev.stdout, `curl http://127.0.0.1:${sql} `)
  t.match(dev.stdout, `http://127.0.0.1:${ops}/metrics http://127.0.0.1:${ops + 1}/metrics`)
  dev.kill('SIGINT')
  t.strictSame(await dev.exited, { code: 0, signal: null }, dev.stderr)

  const taken = await occupy(t, 0)
  for (const [option, setting] of [
    ['sql-port', '--sql-port'],
    ['ops-port', 'OPS_PORT'],
    ['postgres-port', '--postgres-port'],
  ] as const) {
    const refused = new CliProcess(
      t,
      ['dev', '--ops-host=127.0.0.1', ...flags, `--${option}=${taken}`],
      {},
      { cwd },
    )
    t.strictSame(await refused.exited, { code: 1, signal: null })
    t.match(
      refused.stderr,
      new RegExp(`^caching-layer: ${setting}: another process listens on .*${taken}`, 'm'),
    )
    t.equal(await postmasterIn(cwd), undefined, 'PostgreSQL was stopped')
  }

  await truncate(join(cwd, '.data', 'postgres', 'cluster', 'global', 'pg_control'), 0)
  const damaged = new CliProcess(t, ['dev', ...flags], {}, { cwd })
  t.strictSame(await damaged.exited, { code: 1, signal: null })
  const folder = join(cwd, '.data', 'postgres')
  t.match(damaged.stderr, /^caching-layer: PostgreSQL did not start: .*pg_control[^\n]*\n$/)
  t.ok(damaged.stderr.endsWith(`; if the data is damaged, remove ${folder} to start afresh without it\n`))
})

t.test('closing the terminal of dev leaves no PostgreSQL behind', async (t) => {
  const cwd = await freshFolder(t)
  const port = await freePorts(3)
  // `script` gives it a terminal, which closes when `script` is killed.
  const command = `'${process.execPath}' '${program}' dev --port=${port} --ops-port=0`
  const terminal = spawn('script', ['-qec', command, '/dev/null'], {
    cwd,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(terminal, 'exit')
  t.teardown(() => terminal.kill('SIGKILL'))
  let said = ''
  terminal.stdout.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  await eventually(() => said.includes('Ctrl-C'), { withinMs: 120_000 })
  const postgres = await postmasterIn(cwd)
  t.ok(postgres !== undefined && isRunning(postgres))
  terminal.kill('SIGKILL')
  await ended
  await eventually(() => !isRunning(Number(postgres)), { withinMs: 60_000 })
  t.equal(await postmasterIn(cwd), undefined, 'it was stopped in order')
})

t.test('a second Ctrl-C leaves no PostgreSQL behind', async (t) => {
  const cwd = await freshFolder(t)
  const port = await freePorts(3)
  const dev = new CliProcess(t, ['dev'], { PORT: String(port), OPS_PORT: '0' }, { cwd })
  await eventually(() => dev.hasExited || dev.stdout.includes('Ctrl-C'))
  t.ok(isRunning(Number(await postmasterIn(cwd))))
  // A request that is not complete keeps the second sidecar, which is stopped first, from ending at once.
  const socket = connect(port + 1, '127.0.0.1', () => socket.write('GET /health HTTP/1.1\r\n'))
  t.teardown(() => socket.destroy())
  socket.on('error', () => undefined)
  await once(socket, 'ready')
  dev.kill('SIGINT')
  const second = new JsonClient(`http://127.0.0.1:${port + 1}`)
  await eventually(() =>
    second.request('GET', '/health').then(
      () => false,
      () => true,
    ),
  )
  t.notOk(dev.hasExited)
  dev.kill('SIGINT')
  await dev.exited
  await eventually(async () => (await postmasterIn(cwd)) === undefined)
})
