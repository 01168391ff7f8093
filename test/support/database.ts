import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { LocalPostgres } from '../../src/dev/local-postgres.js'
import { sharedServerUrl, temporaryServer } from './shared-server.js'

/** The part of tap's `t` that a thing needs which ends with its test. */
export interface Owner {
  teardown(fn: () => unknown): void
}

/** An empty database for one test. */
export interface FreshDatabase {
  readonly url: string
  readonly name: string
  /** Runs SQL on a small pool of its own. */
  query<Row extends pg.QueryResultRow>(sql: string, params?: unknown[]): Promise<pg.QueryResult<Row>>
  /** Ends all its connections, anybody's, and removes it; once is enough, and teardown does it anyway. */
  drop(): Promise<void>
}

/**
 * Makes a database on the server of this run, on the one of `TEST_DATABASE_URL` (whose user must be able to
 * create databases), or on one for this process alone if the test file was started by hand.
 */
export async function freshDatabase(t: Owner, options: { template?: string } = {}): Promise<FreshDatabase> {
  const serverUrl = process.env.TEST_DATABASE_URL || (await sharedServerUrl(process.ppid)) || (await ownUrl())
  const name = `test_${randomUUID().replaceAll('-', '_')}`
  const from = options.template ? ` template ${pg.escapeIdentifier(options.template)}` : ''
  await runOn(serverUrl, `create database ${name}${from}`)

  const url = Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href
  const pool = new pg.Pool({ connectionString: url, max: 4, application_name: 'test' })
  pool.on('error', () => {}) // a test may end the server, or the connections
  let dropped: Promise<void> | undefined
  const drop = () => {
    // First the database: the pool waits for its queries, and one of them may wait for a lock.
    dropped ??= runOn(serverUrl, `drop database if exists ${name} with (force)`).finally(() => pool.end())
    return dropped
  }
  t.teardown(drop)
  return { url, name, drop, query: (sql, params) => pool.query(sql, params) }
}

/** A server of its own, for a test that stops it. It ends and its data are removed with the test. */
export async function ownServer(
  t: Owner,
  settings?: Readonly<Record<string, string>>,
): Promise<LocalPostgres> {
  const { server, end } = await temporaryServer(settings)
  t.teardown(end)
  return server
}

let own: Promise<string> | undefined

function ownUrl(): Promise<string> {
  own ??= (async () => {
    const { default: tap } = await import('tap')
    const { server, end } = await temporaryServer()
    tap.teardown(end)
    return server.url()
  })()
  return own
}

async function runOn(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
