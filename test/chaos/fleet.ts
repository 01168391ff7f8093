import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import type { LocalPostgres } from '../../src/cli/local-postgres.js'
import { FaultProxy, type ProxyCounts } from '../support/fault-proxy.js'
import { temporaryServer } from '../support/shared-server.js'
import { SidecarClient } from './sidecar-client.js'
import { SidecarProcess } from './sidecar-process.js'

/** A sidecar, the link to its database, and a client of it. */
export interface Member {
  readonly sidecar: SidecarProcess
  readonly proxy: FaultProxy
  readonly client: SidecarClient
  /** For questions about it, on connections of its own. */
  readonly observer: SidecarClient
}

export interface FleetOptions {
  readonly sidecars: number
  readonly maxStalenessMs: number
  readonly program: string
  readonly onUnexpectedEnd: (why: string) => void
}

const user = 'cache_user'
const password = 'cache_pass'
const database = 'cache_db'
/** The least there can be: it has to be filled now and then. */
const settings = { max_notify_queue_pages: '64' }
const attempts = 5

/** Real sidecars, each behind a proxy of ours, in front of one real PostgreSQL server. */
export class Fleet {
  readonly members: readonly Member[]
  readonly postgres: LocalPostgres
  readonly #endServer: () => Promise<void>
  /** Direct, and as the superuser. */
  readonly #admin: pg.Pool

  private constructor(postgres: LocalPostgres, endServer: () => Promise<void>, members: readonly Member[]) {
    this.postgres = postgres
    this.#endServer = endServer
    this.members = members
    this.#admin = new pg.Pool({
      connectionString: this.adminUrl,
      application_name: 'chaos faults',
      max: 4,
      connectionTimeoutMillis: 3_000,
    })
    this.#admin.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined))
  }

  /** The database is there and empty; the sidecars are not started yet. */
  static async create({ sidecars, maxStalenessMs, program, onUnexpectedEnd }: FleetOptions): Promise<Fleet> {
    const { server, end } = await temporaryServer(settings)
    try {
      await createDatabase(server.url())
      const members: Member[] = []
      for (let index = 0; index < sidecars; index++) {
        const proxy = new FaultProxy(server.port)
        const sidecar = new SidecarProcess({
          name: `sidecar-${index}`,
          program,
          onUnexpectedEnd,
          environment: {
            DATABASE_URL: `postgresql://${user}:${password}@127.0.0.1:${await proxy.listen()}/${database}`,
            CACHE_MAX_STALENESS_MS: String(maxStalenessMs),
            // The other ways there are to live through an outage.
            ...(index % 3 === 1 && { CACHE_ON_FEED_LOSS: 'stale' }),
            ...(index % 3 === 2 && { CACHE_ON_WRITE_OUTAGE: 'reject' }),
          },
        })
        const port = () => sidecar.port
        members.push({ sidecar, proxy, client: new SidecarClient(port), observer: new SidecarClient(port) })
      }
      return new Fleet(server, end, members)
    } catch (error) {
      await end()
      throw error
    }
  }

  /** Leads directly to the server. */
  get databaseUrl(): string {
    return `postgresql://${user}:${password}@127.0.0.1:${this.postgres.port}/${database}`
  }

  /** The superuser's. */
  get adminUrl(): string {
    return this.postgres.url(database)
  }

  /** What the proxies have done, together. */
  get network(): ProxyCounts {
    const all = this.members.map(({ proxy }) => proxy.counts)
    const sum = (pick: (counts: ProxyCounts) => number) =>
      all.reduce((total, counts) => total + pick(counts), 0)
    return {
      accepted: sum(({ accepted }) => accepted),
      refused: sum(({ refused }) => refused),
      ignored: sum(({ ignored }) => ignored),
      reset: sum(({ reset }) => reset),
      bytesToServer: sum(({ bytesToServer }) => bytesToServer),
      bytesToClient: sum(({ bytesToClient }) => bytesToClient),
      bytesDropped: sum(({ bytesDropped }) => bytesDropped),
    }
  }

  /** Runs SQL as the superuser, several times if need be: its connections have been lost with the server's last end. */
  async administer<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        return (await this.#admin.query<Row>(sql, values)).rows
      } catch (error) {
        const isRefused = error instanceof pg.DatabaseError && error.severity === 'ERROR'
        if (isRefused || attempt === attempts) throw error
        await sleep(50)
      }
    }
  }

  /** Ends what this process started, and removes its files. */
  async close(): Promise<void> {
    await Promise.all(this.members.map(({ sidecar }) => sidecar.kill()))
    for (const { client, observer, proxy } of this.members) {
      client.close()
      observer.close()
      await proxy.close()
    }
    await this.#admin.end().catch(() => undefined)
    await this.#endServer()
  }
}

async function createDatabase(serverUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl })
  await client.connect()
  try {
    await client.query(`create role ${user} login password '${password}'`)
    await client.query(`create database ${database} owner ${user}`)
  } finally {
    await client.end()
  }
}
