import type pg from 'pg'
import { Database } from '../../postgres/pool/database.js'
import { inTransaction } from '../../postgres/pool/transaction.js'
import { openSchema } from '../../postgres/schema/schema-owner.js'
import { isOutboxUsed, lookAtBindings } from './bindings.js'
import { despiteTimeout } from './despite-timeout.js'
import { failure, stateOf } from './failure.js'
import { bad, type Finding, skipped } from './finding.js'
import { lookAtHistory, lookAtPolicies } from './history.js'
import { lookAtListenSettings, lookAtRoundTrip, lookForPooler } from './listening.js'
import { lookAtProbeRow } from './probe-row.js'
import { connect, reach } from './reach.js'
import { lookAtReplica } from './replica.js'
import { lookAtRights } from './rights.js'
import { lookAtMigrations, lookAtSchema, lookAtTriggers } from './schema.js'
import { lookAtBudget, lookAtServer } from './server.js'
import { lookAtSettings, lookAtTimeouts } from './session-settings.js'
import { lookAtTable } from './table.js'
import { lookAtUrl, withoutTimeouts } from './url-parameters.js'

export interface DoctorOptions {
  readonly databaseUrl: string
  readonly databaseListenUrl: string
  readonly databaseReadUrls: readonly string[]
  readonly databasePoolSize: number
  readonly databaseTimeoutMs: number
  readonly maxStalenessMs: number
  /** Number of sidecars to plan for; undefined for those that are running now. */
  readonly sidecars: number | undefined
  /** Wall clock, in ms since 1970. */
  readonly now: () => number
}

/** One check, or several that belong together. */
interface Look {
  readonly check: string
  /** Checks that must not have failed. If one has, this look is skipped. */
  readonly needs?: readonly string[]
  /** Setting to correct if the look as a whole fails. */
  readonly subject?: string
  readonly look: () => Promise<Finding | readonly Finding[]>
}

const moreConnections = 'more connections'

/** Checks everything that a sidecar needs of its database, and changes nothing. Never throws. */
export async function* examine(options: DoctorOptions): AsyncGenerator<Finding> {
  const isOneUrl = options.databaseListenUrl === options.databaseUrl
  yield* lookAtUrl('DATABASE_URL', options.databaseUrl, options)
  if (!isOneUrl) yield* lookAtUrl('DATABASE_LISTEN_URL', options.databaseListenUrl, options)
  const databaseUrl = withoutTimeouts(options.databaseUrl)
  const reached = await reach('DATABASE_URL', databaseUrl)
  if ('finding' in reached) {
    yield reached.finding
    return
  }
  const { client } = reached
  const database = new Database({ url: databaseUrl, poolSize: 1, timeoutMs: 5_000, log: silent })
  const failed = new Set<string>()
  try {
    for (const { check, needs = [], subject = 'DATABASE_URL', look } of looks(client, database, options)) {
      const cause = needs.find((need) => failed.has(need))
      const findings = cause === undefined ? await looking(check, subject, look) : [skipped(check, cause)]
      for (const finding of findings) {
        if (!finding.ok) failed.add(check).add(finding.check)
        yield finding
      }
    }
  } finally {
    await client.end().catch(() => undefined)
    await database.close().catch(() => undefined)
  }
}

/** Returns all looks. A look comes after those that it depends on. */
function looks(client: pg.Client, database: Database, options: DoctorOptions): readonly Look[] {
  const { databaseReadUrls, databasePoolSize, sidecars, now } = options
  const isOneUrl = options.databaseListenUrl === options.databaseUrl
  const listenVariable = isOneUrl ? 'DATABASE_URL' : 'DATABASE_LISTEN_URL'
  const databaseUrl = withoutTimeouts(options.databaseUrl)
  const listenUrl = withoutTimeouts(options.databaseListenUrl)
  const missing = new Set<string>()
  let isWithinBudget = false
  const whole = ['table', 'migrations']
  return [
    ...(isOneUrl
      ? []
      : [{ check: 'route of DATABASE_URL', look: () => lookForPooler('DATABASE_URL', client, true) }]),
    { check: 'server', look: () => lookAtServer(client, now) },
    {
      check: 'connections',
      look: async () => {
        const connectionsEach = databasePoolSize + ((await isOutboxUsed(client)) ? 2 : 1)
        const finding = await lookAtBudget(client, { sidecars, connectionsEach })
        isWithinBudget = finding.ok
        return finding
      },
    },
    { check: moreConnections, look: () => lookForConnections(database, databaseUrl, isWithinBudget) },
    { check: 'settings', look: () => lookAtSettings(client, 'DATABASE_URL') },
    {
      check: listenVariable,
      needs: [moreConnections],
      subject: listenVariable,
      look: () => lookAtListener(listenVariable, listenUrl, options),
    },
    { check: 'table', look: () => lookAtTable(client) },
    {
      check: 'migrations',
      needs: [moreConnections, listenVariable, 'table'],
      subject: listenVariable,
      look: () => lookAtMigrations(client, listenUrl),
    },
    { check: 'schema', needs: ['table'], look: () => lookAtSchema(client) },
    { check: 'triggers', needs: [moreConnections, ...whole], look: () => lookAtTriggers(database) },
    {
      check: 'rights',
      needs: whole,
      look: async () => {
        const rights = await lookAtRights(client)
        for (const right of rights.missing) missing.add(right)
        return rights.finding
      },
    },
    { check: 'bindings', needs: [...whole, 'rights'], look: () => lookAtBindings(client) },
    { check: 'history', needs: [...whole, 'primary', 'rights'], look: () => lookAtHistory(client) },
    {
      check: 'probe row',
      needs: [...whole, 'primary', 'read-only', 'rights', 'triggers'],
      look: async () => {
        const schema = await inTransaction(client, async () => (await openSchema(client)).name)
        return lookAtProbeRow(client, { schema, missing })
      },
    },
    { check: 'row-level security', needs: [...whole, 'probe row'], look: () => lookAtPolicies(client) },
    {
      check: 'LISTEN',
      needs: [moreConnections, listenVariable, ...whole, 'rights', 'triggers'],
      subject: listenVariable,
      look: () => lookAtRoundTrip(database, listenUrl, silent),
    },
    ...databaseReadUrls.map((url, index): Look => {
      const check = `replica ${index + 1}`
      return {
        check,
        needs: [moreConnections, ...whole, 'rights'],
        subject: 'DATABASE_READ_URL',
        look: () => lookAtReplica(check, url, database, silent),
      }
    }),
  ]
}

const silent = { info: () => undefined, warn: () => undefined }

/** Returns the findings of a look, or one finding if the look itself fails. */
async function looking(check: string, subject: string, look: Look['look']): Promise<readonly Finding[]> {
  try {
    return [await look()].flat()
  } catch (error) {
    return [failure(check, subject, error)]
  }
}

/**
 * Returns a finding only if the server, which has accepted one connection, refuses the two more that the other checks
 * need at the same time. If the budget has reported that already, the finding is `skipped`.
 */
async function lookForConnections(
  database: Database,
  url: string,
  isWithinBudget: boolean,
): Promise<readonly Finding[]> {
  try {
    await database.read('select 1')
    const third = await connect(url)
    await third.end()
    return []
  } catch (error) {
    if (stateOf(error) !== '53300') throw error
    return [
      isWithinBudget
        ? failure(moreConnections, 'DATABASE_URL', error)
        : skipped(moreConnections, 'connections'),
    ]
  }
}

/** Checks a session that is opened in the same way as the feed's. */
async function lookAtListener(
  variable: string,
  url: string,
  { maxStalenessMs }: DoctorOptions,
): Promise<readonly Finding[]> {
  const unreadTimeoutMs = maxStalenessMs * 4
  let client: pg.Client
  try {
    client = await connect(url, {
      options: `-c idle_session_timeout=0 -c tcp_user_timeout=${unreadTimeoutMs}`,
    })
  } catch {
    // A pooler may refuse the options. A session without them shows the reason.
    const reached = await reach(variable, url)
    if ('finding' in reached) return [reached.finding]
    try {
      return [await lookForPooler(variable, reached.client, false)]
    } finally {
      await reached.client.end()
    }
  }
  try {
    const pooler = await despiteTimeout(() => lookForPooler(variable, client, false))
    // Through a pooler, the checks below would change settings of a session that another client gets later.
    if (!pooler.ok) return [pooler]
    return [
      pooler,
      ...(await lookAtTimeouts(client, variable, { url, maxStalenessMs })),
      ...(await lookAtListenSettings(client, variable, { unreadTimeoutMs })),
    ]
  } catch (error) {
    if (stateOf(error) !== '57014') throw error
    return [
      bad(
        'statement_timeout',
        'too short for any statement of the listening session',
        failure(variable, variable, error).cure ?? '',
      ),
    ]
  } finally {
    await client.end()
  }
}
