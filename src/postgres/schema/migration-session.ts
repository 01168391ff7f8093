import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { openClient } from '../pool/connection.js'
import { messageOf } from '../pool/errors.js'
import { inTransaction } from '../pool/transaction.js'

const connectTimeoutMs = 3_000
const lockPollMs = 50
const lockWaitMs = 60_000

/** Runs `work` on a connection of its own. */
export async function inMigrationSession<T>(
  url: string,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await openClient(url, {
    application_name: 'caching-layer migrate',
    connectionTimeoutMillis: connectTimeoutMs,
    // Long enough for a large table, but bounded in case the server no longer answers.
    query_timeout: 600_000,
  }).catch((error: unknown) => {
    throw new Error(messageOf(error), { cause: error })
  })
  const end = () => client.end().catch(() => undefined)
  try {
    const result = await work(client)
    await end()
    return result
  } catch (error) {
    // Not awaited: an unreachable server does not answer.
    end()
    throw error
  }
}

/** SQLSTATEs that mean that this process lost a race for the table of migrations, and may try again. */
const othersAreMigrating: ReadonlySet<string> = new Set([
  '55P03', // lock_not_available
  '23505', // unique_violation: another process created the table at the same moment
  '42P07', // duplicate_table
  '40P01', // deadlock_detected
])

/**
 * Runs `work`, which locks the table of migrations, in a transaction, and again if another process was quicker. The
 * table's own lock is used because any role may take an advisory lock, and so block migrations; this lock needs rights
 * on the table.
 */
export async function inTurn<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + lockWaitMs
  for (;;) {
    try {
      return await inTransaction(client, work)
    } catch (error) {
      const isRace = error instanceof pg.DatabaseError && othersAreMigrating.has(error.code ?? '')
      if (!isRace) throw error
      if (performance.now() > deadlineMs)
        throw new Error(
          `another process is applying migrations, or holds a lock, for too long: ${error.message}`,
          {
            cause: error,
          },
        )
      await sleep(lockPollMs)
    }
  }
}

export const cureOfDenied = 'run "caching-layer migrate" as the owner, then start with --no-migrate'

/** Returns true if the role lacks a right. */
export function isDenied(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code === '42501'
}
