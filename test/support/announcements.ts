import pg from 'pg'
import { decodeChanges, type FeedChange } from '../../src/postgres/feed/change.js'
import type { FreshDatabase, Owner } from './database.js'
import { eventually } from './eventually.js'

/** Records the notifications of a database, as they are sent. */
export class Announcements {
  readonly channel: string
  readonly #database: FreshDatabase
  readonly #payloads: string[] = []
  #marks = 0

  private constructor(database: FreshDatabase, channel: string) {
    this.#database = database
    this.channel = channel
  }

  /** Listens on a database that has its schema; without a channel, on that of its table. */
  static async of(t: Owner, database: FreshDatabase, channel?: string): Promise<Announcements> {
    const announcements = new Announcements(database, channel ?? (await channelOf(database)))
    const client = new pg.Client({ connectionString: database.url })
    client.on('error', () => {})
    client.on('notification', ({ payload }) => announcements.#payloads.push(payload ?? ''))
    await client.connect()
    t.teardown(() => client.end())
    await client.query(`listen ${pg.escapeIdentifier(announcements.channel)}`)
    return announcements
  }

  /** All payloads since the last call: of everything that is committed now. */
  async payloads(): Promise<string[]> {
    const mark = `mark ${++this.#marks}`
    await this.#database.query('select pg_notify($1, $2)', [this.channel, mark])
    await eventually(() => this.#payloads.includes(mark))
    return this.#payloads.splice(0).filter((payload) => payload !== mark)
  }

  /** The same, decoded. */
  async changes(): Promise<FeedChange[]> {
    return (await this.payloads()).flatMap((payload) => decodeChanges(payload))
  }

  /** The ids named, in order, and '*' for everything. */
  async ids(): Promise<string[]> {
    return (await this.changes()).map((change) => (change.kind === 'key' ? change.id : '*')).sort()
  }
}

async function channelOf({ query }: FreshDatabase): Promise<string> {
  const { rows } = await query<{ channel: string }>(
    `select cache_channel(nspname, relname) as channel
     from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where pg_class.oid = 'cache_entries'::regclass`,
  )
  return rows[0]?.channel ?? ''
}
