import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import pg from 'pg'
import type { LocalPostgres } from '../../../src/dev/local-postgres.js'
import { FaultProxy, type ProxyCounts } from '../../support/fault-proxy.js'
import { temporaryServer } from '../../support/shared-server.js'
import { ReadStandby } from './read-standby.js'
import { SidecarClient } from './sidecar-client.js'
import { SidecarProcess } from './sidecar-process.js'

/** A sidecar, the link to its database, and a client of it. */
export interface Member {
  readonly sidecar: SidecarProcess
  readonly proxy: FaultProxy
  readonly client: SidecarClient
  /** Client for questions about the sidecar, with its own connections. */
  readonly observer: SidecarClient
  /** Its role in the database, which need not own the table. */
  readonly role: string
  /** Most entries that it holds. */
  readonly capacity: number
  readonly keepsWrites: boolean
}

export interface FleetOptions {
  readonly sidecars: number
  readonly maxStalenessMs: number
  readonly program: string
  readonly onUnexpectedEnd: (why: string) => void
}

interface FleetParts {
  readonly postgres: LocalPostgres
  readonly standby: ReadStandby
  readonly sqlProxy: FaultProxy
  readonly sqlPort: number
  readonly endServer: () => Promise<void>
  readonly members: readonly Member[]
  readonly program: string
}

const user = 'cache_user'
/** Role of the sidecars. It may read and write entries, and owns nothing. */
export const guest = 'cache_guest'
const password = 'cache_pass'
const database = 'cache_db'
/** The least queue that there can be: it has to be filled now and then. */
export const serverSettings = { max_notify_queue_pages: '64', max_prepared_transactions: '16' }
const attempts = 5
/** Less than there are keys, so that entries are evicted all the time. */
const smallCapacity = 20
const usualCapacity = 1_000
const createIt = `create database ${database} owner ${user}`

/** Real sidecars, each behind a proxy of ours, in front of one real PostgreSQL server. */
export class Fleet {
  readonly members: readonly Member[]
  readonly postgres: LocalPostgres
  /** Some sidecars read from it. */
  readonly standby: ReadStandby
  /** The link of those who use the table and know of no sidecar. */
  readonly sqlProxy: FaultProxy
  readonly #sqlPort: number
  readonly #program: string
  readonly #endServer: () => Promise<void>
  /** Direct, and as the superuser. */
  readonly #admin: pg.Pool

  private constructor({ postgres, standby, sqlProxy, sqlPort, endServer, members, program }: FleetParts) {
    this.postgres = postgres
    this.standby = standby
    this.sqlProxy = sqlProxy
    this.#sqlPort = sqlPort
    this.#program = program
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
    const { server, end } = await temporaryServer(serverSettings)
    let standby: ReadStandby | undefined
    const endServers = async () => {
      await standby?.close()
      await end()
    }
    try {
      await createDatabase(server.url())
      standby = await ReadStandby.create(server, serverSettings)
      const members: Member[] = []
      for (let index = 0; index < sidecars; index++) {
        const isGuest = index % 3 === 1
        const isSmall = index % 3 === 2
        const role = isGuest ? guest : user
        const capacity = isSmall ? smallCapacity : usualCapacity
        const proxy = new FaultProxy(server.port)
        const sidecar = new SidecarProcess({
          name: `sidecar-${index}`,
          program,
          onUnexpectedEnd,
          flags: isGuest ? ['--no-migrate'] : [],
          environment: {
            DATABASE_URL: `postgresql://${role}:${password}@127.0.0.1:${await proxy.listen()}/${database}`,
            CACHE_MAX_STALENESS_MS: String(maxStalenessMs),
            CACHE_CAPACITY: String(capacity),
            CACHE_SWEEP_INTERVAL_MS: '1000',
            // The other ways there are to live through an outage.
            ...(isGuest && { CACHE_ON_FEED_LOSS: 'stale' }),
            ...(isSmall && {
              CACHE_ON_WRITE_OUTAGE: 'reject',
              DATABASE_READ_URL: `postgresql://${role}:${password}@127.0.0.1:${standby.port}/${database}`,
            }),
          },
        })
        const port = () => sidecar.port
        const [client, observer] = [new SidecarClient(port), new SidecarClient(port)]
        members.push({ sidecar, proxy, client, observer, role, capacity, keepsWrites: !isSmall })
      }
      const sqlProxy = new FaultProxy(server.port)
      const sqlPort = await sqlProxy.listen()
      return new Fleet({
        postgres: server,
        standby,
        sqlProxy,
        sqlPort,
        endServer: endServers,
        members,
        program,
      })
    } catch (error) {
      await endServers()
      throw error
    }
  }

  /** URL for clients that use the table without a sidecar. */
  get databaseUrl(): string {
    return this.#urlAt(this.#sqlPort)
  }

  /** Leads directly to the server, as the owner of the table. */
  get directUrl(): string {
    return this.#urlAt(this.postgres.port)
  }

  /** The superuser's. */
  get adminUrl(): string {
    return this.postgres.url(database)
  }

  /** Sum of the counters of all proxies. */
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
      commitsCut: sum(({ commitsCut }) => commitsCut),
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

  /** Returns the contents of the table. */
  async stored(): Promise<ReadonlyMap<string, string>> {
    const rows = await this.administer<{ key: string; value: string }>(
      'select key, value from cache_entries where expires_at is null or expires_at > clock_timestamp()',
    )
    return new Map(rows.map(({ key, value }) => [key, value]))
  }

  /**
   * Calls `work` while the server is reachable only by `directUrl` and `administer`. Traffic in flight is cut off.
   * `but` listeners: these keep the connections that they have.
   */
  async alone<T>(work: () => Promise<T>, { but }: { readonly but?: 'listeners' } = {}): Promise<T> {
    const proxies = [...this.members.map(({ proxy }) => proxy), this.sqlProxy]
    for (const proxy of proxies) proxy.bar(but === 'listeners' ? 'pool' : 'all')
    try {
      return await work()
    } finally {
      for (const proxy of proxies) proxy.unbar()
    }
  }

  /** Makes the tables, as the program under test does it. */
  async migrate(): Promise<void> {
    const { PATH, HOME, TMPDIR, SystemRoot } = process.env
    const env = { PATH, HOME, TMPDIR, SystemRoot, DATABASE_URL: this.directUrl }
    await promisify(execFile)(process.execPath, [this.#program, 'migrate'], { env })
  }

  /** Rolls back prepared transactions, which keep their locks when their clients are cut off. */
  async rollBackPrepared(): Promise<void> {
    const prepared = await this.administer<{ gid: string }>(
      'select gid from pg_prepared_xacts where database = current_database()',
    )
    for (const { gid } of prepared) await this.administer(`rollback prepared '${gid}'`).catch(() => undefined)
  }

  /** Removes the database with all connections to it, and makes an empty one. `onDropped` is called in between. */
  async recreateDatabase(onDropped: () => void): Promise<void> {
    const client = new pg.Client({ connectionString: this.postgres.url() })
    await client.connect()
    try {
      await client.query(`drop database ${database} with (force)`)
      onDropped()
      await client.query(createIt)
    } finally {
      await client.end()
    }
  }

  /** Leads new connections to the server at this port. */
  lead(port: number): void {
    for (const { proxy } of this.members) proxy.lead(port)
    this.sqlProxy.lead(port)
  }

  /** Runs statements one after the other, on a connection of the owner's own. */
  async asOwner(work: (client: pg.Client) => Promise<void>): Promise<void> {
    const client = new pg.Client({ connectionString: this.directUrl, application_name: 'chaos faults' })
    client.on('error', () => undefined)
    await client.connect()
    try {
      await work(client)
    } finally {
      await client.end().catch(() => undefined)
    }
  }

  #urlAt(port: number): string {
    return `postgresql://${user}:${password}@127.0.0.1:${port}/${database}`
  }

  /** Ends what this process started, and removes its files. */
  async close(): Promise<void> {
    await Promise.all(this.members.map(({ sidecar }) => sidecar.kill()))
    for (const { client, observer, proxy } of this.members) {
      client.close()
      observer.close()
      await proxy.close()
    }
    await this.sqlProxy.close()
    await this.#admin.end().catch(() => undefined)
    await this.#endServer()
  }
}

/** Rights of the guest on everything that the owner makes, in every database that is made from the template. */
const rightsOfGuest = `
  alter default privileges for role ${user} grant select, insert, update, delete on tables to ${guest};
  alter default privileges for role ${user} grant usage, select on sequences to ${guest};
  alter default privileges for role ${user} grant usage on schemas to ${guest}`

async function createDatabase(serverUrl: string): Promise<void> {
  const run = async (url: string, ...statements: string[]) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      for (const sql of statements) await client.query(sql)
    } finally {
      await client.end()
    }
  }
  await run(
    serverUrl,
    `create role ${user} login password '${password}'`,
    `create role ${guest} login password '${password}'`,
    `grant set on parameter session_replication_role to ${user}`,
    `grant set on parameter deadlock_timeout to ${user}`,
  )
  await run(Object.assign(new URL(serverUrl), { pathname: '/template1' }).href, rightsOfGuest)
  await run(serverUrl, createIt)
}
