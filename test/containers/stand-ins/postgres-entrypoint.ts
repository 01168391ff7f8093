/**
 * Entry point of the stand-in for the image `postgres:18`. It sets up the cluster as that image does: a temporary server
 * answers on a Unix socket only, and runs the scripts of /docker-entrypoint-initdb.d. Then the real one starts.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

const dataDir = '/var/lib/postgresql/18/docker'
const socketDir = '/var/run/postgresql'
const scriptDir = '/docker-entrypoint-initdb.d'
const id = 999

const { POSTGRES_USER: user = 'postgres', POSTGRES_PASSWORD: password = '' } = process.env
const database = process.env.POSTGRES_DB ?? user

function becomePostgres(): void {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  if (process.getuid?.() !== 0) return
  for (const folder of ['/var/lib/postgresql', '/var/lib/postgresql/18', dataDir, socketDir])
    chownSync(folder, id, id)
  process.setgid?.(id)
  process.setuid?.(id)
}

function start(...args: readonly string[]): ChildProcess {
  return spawn('/postgres/bin/postgres', ['-D', dataDir, '-k', socketDir, ...args], { stdio: 'inherit' })
}

/**
 * Runs a script of psql. Of its own language, it knows what the project's scripts use: `\getenv`, `:'variable'` and
 * `\gexec`. Anything else is an error.
 */
async function runScript(client: pg.Client, text: string): Promise<void> {
  const variables = new Map<string, string>()
  const sql = text
    .replaceAll(/^\\getenv (\w+) (\w+)$/gm, (_, name, variable) => {
      variables.set(name, process.env[variable] ?? '')
      return ''
    })
    .replaceAll(/:'(\w+)'/g, (_, name) => pg.escapeLiteral(variables.get(name) ?? ''))
  for (const statement of sql.split(/(?<=;$|\\gexec$)/m)) {
    const [query, isGenerated] = [statement.replace(/\\gexec$/, ''), statement.endsWith('\\gexec')]
    if (/^\\/m.test(query)) throw new Error(`a command of psql that is not known here: ${query}`)
    const { rows } = await client.query({ text: query, rowMode: 'array' })
    if (isGenerated) for (const cell of rows.flat()) await client.query(cell)
  }
}

async function connected(name: string): Promise<pg.Client> {
  for (;;) {
    const client = new pg.Client({ host: socketDir, user, password, database: name })
    try {
      await client.connect()
      return client
    } catch {
      await client.end().catch(() => undefined)
      await sleep(50)
    }
  }
}

async function setUp(): Promise<void> {
  writeFileSync('/tmp/password', password)
  const args = [
    '-D',
    dataDir,
    `--username=${user}`,
    '--pwfile=/tmp/password',
    '--auth=scram-sha-256',
    '--no-sync',
  ]
  const { status } = spawnSync('/postgres/bin/initdb', [...args, '--encoding=UTF8', '--locale=C'], {
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error(`initdb: exit code ${status}`)
  appendFileSync(join(dataDir, 'pg_hba.conf'), 'host all all all scram-sha-256\n')
  const temporary = start('-c', 'listen_addresses=')
  const first = await connected('postgres')
  if (database !== 'postgres') await first.query(`create database ${pg.escapeIdentifier(database)}`)
  await first.end()
  const client = await connected(database)
  for (const name of existsSync(scriptDir) ? readdirSync(scriptDir).sort() : [])
    if (name.endsWith('.sql')) await runScript(client, readFileSync(join(scriptDir, name), 'utf8'))
  await client.end()
  temporary.kill('SIGINT')
  await once(temporary, 'close')
}

becomePostgres()
if (!existsSync(join(dataDir, 'PG_VERSION'))) await setUp()
const server = start('-c', 'listen_addresses=*', '-c', 'fsync=off')
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => server.kill('SIGINT'))
const [code] = await once(server, 'close')
process.exitCode = code ?? 1
