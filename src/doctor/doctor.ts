import { newClient } from '../postgres/connection.js'
import { Database } from '../postgres/database.js'
import { messageOf } from '../postgres/errors.js'
import { bad, type Finding } from './finding.js'
import { lookAtIdleTimeout, lookAtRoundTrip, lookForPooler } from './listening.js'
import { reach } from './reach.js'
import { lookAtReplica } from './replica.js'
import { lookAtMigrations, lookAtRights, lookAtSchema, lookAtTriggers } from './schema.js'
import { lookAtBudget, lookAtServer } from './server.js'

export interface DoctorOptions {
  readonly databaseUrl: string
  readonly databaseListenUrl: string
  readonly databaseReadUrls: readonly string[]
  readonly databasePoolSize: number
  /** How many sidecars there will be; undefined for those there are. */
  readonly sidecars: number | undefined
  /** The wall clock, in ms since 1970. */
  readonly now: () => number
}

/** Looks at everything that a sidecar needs of its database, without changing anything. Never throws. */
export async function* examine(options: DoctorOptions): AsyncGenerator<Finding> {
  const { databaseUrl, databaseListenUrl, databaseReadUrls, databasePoolSize, sidecars, now } = options
  const isOneUrl = databaseListenUrl === databaseUrl
  const listenVariable = isOneUrl ? 'DATABASE_URL' : 'DATABASE_LISTEN_URL'
  const reached = await reach('DATABASE_URL', databaseUrl)
  if ('finding' in reached) {
    yield reached.finding
    return
  }
  const { client } = reached
  const database = new Database({ url: databaseUrl, poolSize: 1, timeoutMs: 5_000, log: silent })
  try {
    if (!isOneUrl) yield* await looking('DATABASE_URL', () => lookForPooler('DATABASE_URL', client, true))
    yield* await looking('server', () => lookAtServer(client, now))
    yield* await looking('migrations', () => lookAtMigrations(databaseListenUrl))
    yield* await looking('schema', () => lookAtSchema(client))
    yield* await looking('rights', () => lookAtRights(client))
    yield* await looking('triggers', () => lookAtTriggers(database))
    yield* await looking(listenVariable, () => lookAtListener(listenVariable, databaseListenUrl))
    yield* await looking('LISTEN', () => lookAtRoundTrip(database, databaseListenUrl))
    for (const [index, url] of databaseReadUrls.entries()) {
      const check = `replica ${index + 1}`
      yield* await looking(check, () => lookAtReplica(check, url, database, silent))
    }
    const connectionsEach = databasePoolSize + 1
    yield* await looking('connections', () => lookAtBudget(client, { sidecars, connectionsEach }))
  } finally {
    await client.end().catch(() => undefined)
    await database.close().catch(() => undefined)
  }
}

const silent = { info: () => undefined, warn: () => undefined }

/** One that fails has found something, too. */
async function looking(
  check: string,
  look: () => Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return [await look()].flat()
  } catch (error) {
    return [bad(check, messageOf(error), "mend what is above first; then look at the server's log")]
  }
}

/** A session as the feed begins it. */
async function lookAtListener(variable: string, url: string): Promise<readonly Finding[]> {
  const client = newClient(url, {
    application_name: 'caching-layer doctor',
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
    options: '-c idle_session_timeout=0',
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch {
    // A pooler may take no options; one without them says what is the matter.
    const reached = await reach(variable, url)
    if ('finding' in reached) return [reached.finding]
    try {
      return [await lookForPooler(variable, reached.client, false)]
    } finally {
      await reached.client.end()
    }
  }
  try {
    return [await lookForPooler(variable, client, false), await lookAtIdleTimeout(client)]
  } finally {
    await client.end()
  }
}
