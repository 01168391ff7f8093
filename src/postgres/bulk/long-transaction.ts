import type pg from 'pg'
import { newClient, openClient } from '../pool/connection.js'
import { isStatementError, messageOf } from '../pool/errors.js'
import { openSchema, quoteIdentifier } from '../schema/schema-owner.js'

export interface LongTransactionOptions {
  readonly url: string
  /** Name of the session on the server (application_name). */
  readonly name: string
  readonly isolation: 'read committed' | 'repeatable read, read only'
  /** Stops the transaction when aborted, even in the middle of a statement. */
  readonly stop: AbortSignal
}

const connectTimeoutMs = 3_000
export const stoppedInTime = 'stopped; nothing was changed'

/** Bound on waiting for a lock of the table: meanwhile, everybody who asks for a conflicting lock queues up behind. */
const lockTimeout = '10s'

/**
 * Runs `work` in one transaction, on a connection of its own, without a time limit. `entries` is the qualified name of
 * the table of entries, and `schema` the name of its schema. Rejects with an Error whose message is one line. Then
 * nothing has changed, unless the message says that the outcome of the commit is not known.
 */
export async function longTransaction<T>(
  { url, name, isolation, stop }: LongTransactionOptions,
  work: (client: pg.Client, entries: string, schema: string) => Promise<T>,
): Promise<T> {
  const options = { connectionTimeoutMillis: connectTimeoutMs, keepAlive: true }
  const client = newClient(url, { ...options, application_name: name })
  let session: number | undefined
  const cut = async () => {
    if (session !== undefined) await cancel(url, options, session).catch(() => undefined)
    await client.end()
  }
  const onStop = () => void cut().catch(() => undefined)
  stop.addEventListener('abort', onStop)
  let isCommitting = false
  try {
    stop.throwIfAborted()
    await client.connect().catch((error: unknown) => {
      throw new Error(`no connection to the database: ${messageOf(error)}`, { cause: error })
    })
    await client.query(`begin isolation level ${isolation}`)
    const { name: schema } = await openSchema(client)
    session = await prepare(client)
    const result = await work(client, `${quoteIdentifier(schema)}.cache_entries`, schema)
    stop.throwIfAborted()
    stop.removeEventListener('abort', onStop)
    isCommitting = true
    await client.query('commit')
    return result
  } catch (error) {
    if (stop.aborted && !isCommitting) throw new Error(stoppedInTime, { cause: error })
    if (isCommitting && !isStatementError(error))
      throw new Error(
        'the connection was lost before the database confirmed the commit: run the command again',
        {
          cause: error,
        },
      )
    throw error
  } finally {
    stop.removeEventListener('abort', onStop)
    await client.end().catch(() => undefined)
  }
}

/** Sets up the transaction. Resolves to the id of the server process that serves the session. */
async function prepare(client: pg.Client): Promise<number | undefined> {
  // These override the settings of the role and the database: no timeouts, one format for dates, and an error instead
  // of silently fewer rows where row-level security applies.
  const { rows } = await client.query<{ pid: number }>(
    `select pg_backend_pid() as pid, set_config(name, setting, true)
     from (values ('statement_timeout', '0'), ('idle_in_transaction_session_timeout', '0'),
                  ('transaction_timeout', '0'), ('lock_timeout', $1), ('row_security', 'off'),
                  ('datestyle', 'ISO, YMD'), ('timezone', 'UTC')) as wanted (name, setting)
     where exists (select from pg_settings where lower(pg_settings.name) = wanted.name)`,
    [lockTimeout],
  )
  return rows[0]?.pid
}

/** Cancels the running statement of the session. Every role may do that to its own sessions. */
async function cancel(url: string, options: pg.ClientConfig, session: number): Promise<void> {
  const client = await openClient(url, options)
  try {
    await client.query('select pg_catalog.pg_cancel_backend($1)', [session])
  } finally {
    await client.end().catch(() => undefined)
  }
}
