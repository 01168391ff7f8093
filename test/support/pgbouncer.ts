import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { postgresAccount } from '../../src/dev/postgres-account.js'
import type { Owner } from './database.js'
import { eventually } from './eventually.js'

/** Path of the program in Debian's package. */
const program = '/usr/sbin/pgbouncer'

/** Value for the option `skip` of a test: false if PgBouncer is installed. */
export const withoutPgBouncer = existsSync(program) ? false : 'PgBouncer is not installed (Debian: pgbouncer)'

export interface PgBouncerOptions {
  readonly databaseUrl: string
  readonly mode: 'session' | 'transaction'
}

/** PgBouncer in front of a database; resolves to the url that leads through it. It ends with its test. */
export async function startPgBouncer(t: Owner, { databaseUrl, mode }: PgBouncerOptions): Promise<string> {
  const account = postgresAccount()
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-pgbouncer-'))
  const target = new URL(databaseUrl)
  const user = decodeURIComponent(target.username)
  const port = randomInt(30_000, 32_000)
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: join(folder, 'users.txt'),
    pool_mode: mode,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  const database = `* = host=${target.hostname} port=${target.port || 5432} user=${user}`
  await writeFile(join(folder, 'users.txt'), `"${user}" ""\n`)
  await writeFile(
    join(folder, 'pgbouncer.ini'),
    `[databases]\n${database}\n[pgbouncer]\n${lines.join('\n')}\n`,
  )
  if (account) await chown(folder, account.uid, account.gid)

  let said = ''
  const child = spawn(program, [join(folder, 'pgbouncer.ini')], {
    ...account,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said += text
    })
  }
  const exited = new Promise((resolve) => child.once('exit', resolve).once('error', resolve))
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
    await rm(folder, { recursive: true, force: true })
  })
  await eventually(() => {
    if (child.exitCode !== null) throw new Error(`PgBouncer ended: ${said}`)
    return said.includes('process up')
  })
  return Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${port}` }).href
}
