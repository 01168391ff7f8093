import { mkdtemp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { LocalPostgres } from '../../../src/dev/local-postgres.js'
import { FaultProxy } from '../../support/fault-proxy.js'
import { FAST_SETTINGS } from '../../support/shared-server.js'
import { ClusterCopy } from '../faults/cluster-copy.js'

const attempts = 5

/** A streaming standby that sidecars read from, behind a port that stays the same. */
export class ReadStandby {
  readonly #primary: LocalPostgres
  readonly #server: LocalPostgres
  readonly #proxy: FaultProxy
  readonly #folder: string
  readonly port: number

  private constructor(parts: {
    primary: LocalPostgres
    server: LocalPostgres
    proxy: FaultProxy
    folder: string
    port: number
  }) {
    this.#primary = parts.primary
    this.#server = parts.server
    this.#proxy = parts.proxy
    this.#folder = parts.folder
    this.port = parts.port
  }

  static async create(
    primary: LocalPostgres,
    settings: Readonly<Record<string, string>>,
  ): Promise<ReadStandby> {
    const folder = await mkdtemp(join(dirname(primary.dataDir), 'caching-layer-chaos-'))
    const server = new LocalPostgres({
      dataDir: folder,
      settings: {
        ...FAST_SETTINGS,
        ...settings,
        primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres application_name=standby`,
        // Reconnects at once: the default waits 5 s.
        wal_retrieve_retry_interval: '100ms',
      },
    })
    const proxy = new FaultProxy(primary.port)
    const standby = new ReadStandby({ primary, server, proxy, folder, port: await proxy.listen() })
    await standby.rebuild()
    return standby
  }

  /** Copies the primary anew: what a standby needs after its primary went back in time, or was replaced. */
  async rebuild(): Promise<void> {
    await this.stop()
    for (let attempt = 1; ; attempt++) {
      try {
        await (await ClusterCopy.ofRunning(this.#primary)).takePlace(this.#server, 'standby')
        break
      } catch (error) {
        // Files come and go while they are copied.
        if (attempt === attempts) throw error
      }
    }
    this.#proxy.lead(this.#server.port)
    this.#proxy.unbar()
  }

  /** Ends it; `rebuild` makes another one. */
  async stop(): Promise<void> {
    this.#proxy.bar()
    await this.#server.stop('immediate')
  }

  /** It goes on receiving the log, and shows nothing of it until `resume`. */
  async pause(): Promise<void> {
    await this.#query('select pg_wal_replay_pause()')
  }

  async resume(): Promise<void> {
    await this.#query('select pg_wal_replay_resume()')
  }

  async close(): Promise<void> {
    await this.#proxy.close()
    await this.#server.stop('immediate')
    for (const folder of [this.#server.dataDir, this.#folder])
      await rm(folder, { recursive: true, force: true })
  }

  async #query(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.#server.url() })
    client.on('error', () => undefined)
    await client.connect()
    try {
      await client.query(sql)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
}
