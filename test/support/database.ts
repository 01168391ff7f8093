import { randomUUID } from 'node:crypto'
import pg from 'pg'
import type { LocalPostgres } from '../../src/dev/local-postgres.js'
import { migrate } from '../../src/postgres/schema/migrate.js'
import { sharedServerUrl, temporaryServer } from './shared-server.js'

/** The part of tap's `t` that registers what to do at the end of the test. */
export interface Owner {
  teardown(fn: () => unknown): void
}

/** An empty database for one test. */
export interface FreshDatabase {
  readonly url: string
  readonly name: string
  /** Runs SQL on a small pool that only this database has. */
  query<Row extends pg.QueryResultRow>(sql: string, params?: unknown[]): Promise<pg.QueryResult<Row>>
  /** Closes all connections to the database, whoever opened them, and drops it. Runs once; teardown calls it too. */
  drop(): Promise<unknown>
}

/**
 * Creates a database on the server of `TEST_DATABASE_URL`, whose user must be able to create databases; without that
 * setting, on the server that the test files of this run of tap share, which is started if this is the first file that
 * needs it; or on a server for this process alone if the test file was started by hand.
 */
export async function freshDatabase(
  t: Owner,
  options: {
    template?: string /** Further options of `create database`, such as its locale. */
    with?: string
  } = {},
): Promise<FreshDatabase> {
  const serverUrl = await testServerUrl()
  const name = `test_${randomUUID().replaceAll('-', '_')}`
  const from = options.template ? ` template ${pg.escapeIdentifier(options.template)}` : ''
  await createDatabase(serverUrl, `${name}${from} ${options.with ?? ''}`)

  const url = urlOf(serverUrl, name)
  const pool = new pg.Pool({ connectionString: url, max: 4, application_name: 'test' })
  pool.on('error', () => {}) // a test may stop the server or close the connections
  let dropped: Promise<unknown> | undefined
  const drop = () => {
    // The database first: the pool's end() waits for its queries, and one of them may be waiting for a lock.
    dropped ??= runOn(serverUrl, `drop database if exists ${name} with (force)`).finally(() => pool.end())
    return dropped
  }
  t.teardown(drop)
  return { url, name, drop, query: (sql, params) => pool.query(sql, params) }
}

/**
 * Creates a database with the tables of the cache. It is a copy of the one that `TEST_TEMPLATE` names, if it names one:
 * that takes half of the time of the migrations.
 */
export async function cacheDatabase(t: Owner): Promise<FreshDatabase> {
  const { TEST_TEMPLATE } = process.env
  if (TEST_TEMPLATE) return freshDatabase(t, { template: TEST_TEMPLATE })
  const database = await freshDatabase(t)
  await migrate(database.url)
  return database
}

/**
 * Makes a database for `TEST_TEMPLATE` on a server, and returns its name and URL. It replaces one that a process of tests
 * has left.
 */
export async function makeTemplate(serverUrl: string, name: string): Promise<{ name: string; url: string }> {
  await runOn(serverUrl, `drop database if exists ${name} with (force)`)
  await createDatabase(serverUrl, name)
  const url = urlOf(serverUrl, name)
  await migrate(url)
  return { name, url }
}

/**
 * Starts a server for one test, which may stop it. The server ends, and its data are removed, with the test. Its system
 * identifier may be that of other servers of this kind, unless it is to be the only one.
 */
export async function ownServer(
  t: Owner,
  settings?: Readonly<Record<string, string>>,
  options?: { readonly isOnlyOne?: boolean },
): Promise<LocalPostgres> {
  const { server, end } = await temporaryServer(settings, options)
  t.teardown(end)
  return server
}

let knownUrl: Promise<string> | undefined

/** Returns the url of the server, which is looked up once per process. */
function testServerUrl(): Promise<string> {
  knownUrl ??= (async () => {
    return process.env.TEST_DATABASE_URL || (await sharedServerUrl()) || (await ownUrl())
  })()
  return knownUrl
}

async function ownUrl(): Promise<string> {
  const { default: tap } = await import('tap')
  const { server, end } = await temporaryServer()
  tap.teardown(end)
  return server.url()
}

/** Returns the URL of another database of a server. */
function urlOf(serverUrl: string, database: string): string {
  return Object.assign(new URL(serverUrl), { pathname: `/${database}` }).href
}

/** Copies the files of the template: that costs a fifth of writing them to the log. */
async function createDatabase(serverUrl: string, description: string): Promise<void> {
  hasStrategies ??= runOn(serverUrl, 'show server_version_num').then(
    ([row]) => Number(row?.server_version_num) >= 150_000,
  )
  await runOn(
    serverUrl,
    `create database ${description}${(await hasStrategies) ? ' strategy file_copy' : ''}`,
  )
}

/** True from PostgreSQL 15 on; before, files are copied anyway. */
let hasStrategies: Promise<boolean> | undefined

async function runOn(serverUrl: string, sql: string): Promise<Record<string, unknown>[]> {
  let pool = administrators.get(serverUrl)
  if (pool === undefined) {
    // Idle connections let the process end. The server may end before.
    pool = new pg.Pool({ connectionString: serverUrl, max: 2, allowExitOnIdle: true, idleTimeoutMillis: 0 })
    pool.on('error', () => {})
    administrators.set(serverUrl, pool)
  }
  return (await pool.query(sql)).rows
}

/** Connections that create and drop databases, by the URL of the server. */
const administrators = new Map<string, pg.Pool>()
