import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { LocalPostgres } from '../src/dev/local-postgres.js'
import { migrate } from '../src/postgres/schema/migrate.js'
import type { Lifetime } from './lifetime.js'
import { cpuSecondsOfTree } from './process-usage.js'

/** Settings of a production server, except for its size: a commit is on the disk when it is acknowledged. */
const settings = {
  max_connections: '300',
  shared_buffers: '512MB',
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  max_wal_size: '8GB',
  checkpoint_timeout: '30min',
} as const

export interface BenchDatabase {
  readonly url: string
  /** Channel on which changes of the table are announced. */
  readonly channel: string
  query<Row extends pg.QueryResultRow>(sql: string, params?: unknown[]): Promise<Row[]>
}

/**
 * A server that is started when a database is first requested. All comparisons share one, unless they need their own.
 */
export class BenchPostgres {
  readonly #lifetime: Pick<Lifetime, 'teardown'>
  readonly #settings: Readonly<Record<string, string>>
  #server: Promise<LocalPostgres> | undefined
  #databases = 0
  #version = ''

  constructor(lifetime: Pick<Lifetime, 'teardown'>, more: Readonly<Record<string, string>> = {}) {
    this.#lifetime = lifetime
    this.#settings = { ...settings, ...more }
  }

  /**
   * Starts another server, with settings in addition to the usual ones or in place of them. If it is the first, its
   * version counts.
   */
  async another(
    lifetime: Pick<Lifetime, 'teardown'>,
    more: Readonly<Record<string, string>>,
  ): Promise<BenchPostgres> {
    const other = new BenchPostgres(lifetime, more)
    await other.#running()
    this.#version ||= other.#version
    return other
  }

  /** Version with settings; empty before a database is requested. */
  get version(): string {
    return this.#version
  }

  /** A database with the schema in place; `rows` entries `key:1`, `key:2`, ... with a string of `valueBytes`. */
  async database({ rows = 0, valueBytes = 100 } = {}): Promise<BenchDatabase> {
    const server = await this.#running()
    const name = `bench_${++this.#databases}`
    await runOn(server.url(), `create database ${name}`)
    const url = server.url(name)
    await migrate(url)
    const pool = new pg.Pool({ connectionString: url, max: 2, application_name: 'bench' })
    pool.on('error', () => undefined)
    this.#lifetime.teardown(() => pool.end())
    const query = async <Row extends pg.QueryResultRow>(sql: string, params: unknown[] = []) =>
      (await pool.query<Row>(sql, params)).rows
    if (rows > 0) {
      await query(
        `insert into cache_entries (key, value) select 'key:' || n, repeat('x', $2) from generate_series(1, $1::int) as n`,
        [rows, valueBytes],
      )
      await query('vacuum analyze cache_entries')
    }
    await query('checkpoint')
    const [row] = await query<{ channel: string }>(
      "select cache_channel('public', 'cache_entries') as channel",
    )
    return { url, channel: row?.channel ?? '', query }
  }

  /** Time on a core so far, of the server and all its processes, also of those that have ended. */
  async cpuSeconds(): Promise<number> {
    return cpuSecondsOfTree((await this.#running()).pid as number)
  }

  /** Restarts the server, and resolves when it accepts connections again. */
  async restart(awayMs: number): Promise<void> {
    const server = await this.#running()
    await server.stop('fast')
    await sleep(awayMs)
    await server.start()
  }

  /** All that it has logged. */
  async log(): Promise<string> {
    return readFile(join((await this.#running()).dataDir, 'server.log'), 'utf8')
  }

  #running(): Promise<LocalPostgres> {
    this.#server ??= this.#start()
    return this.#server
  }

  async #start(): Promise<LocalPostgres> {
    const dataDir = await mkdtemp(join(tmpdir(), 'caching-layer-bench-'))
    const server = new LocalPostgres({ dataDir, settings: this.#settings })
    this.#lifetime.teardown(async () => {
      await server.stop('immediate')
      for (const folder of [server.dataDir, dataDir]) await rm(folder, { recursive: true, force: true })
    })
    await server.start()
    const [row] = await runOn(server.url(), 'show server_version')
    const set = Object.entries(this.#settings).map(([name, value]) => `${name}=${value}`)
    this.#version = `${row?.server_version} (${set.join(' ')})`
    return server
  }
}

async function runOn(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}
