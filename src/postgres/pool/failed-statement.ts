import pg from 'pg'
import { type CacheError, hasCode } from '../../core/errors.js'
import { connectionLost, isOfServer, isStatementError, needsSession, statementFailed } from './errors.js'

/** Outcome of a statement that failed, and of its connection. */
export interface Failed {
  readonly failure: CacheError
  /** True if the connection can be used again. */
  readonly isUsable: boolean
}

/** Returns the failure of a statement in a transaction for which no commit was sent. */
export async function uncommittedFailed(error: unknown, client: pg.PoolClient): Promise<Failed> {
  // After our own timeout, the connection is still busy, and a rollback would wait as long again.
  const isUsable = error instanceof pg.DatabaseError && (await succeeds(client, 'rollback'))
  return { failure: statementFailed(error, 'read', isUsable), isUsable }
}

/**
 * Rolls a transaction that only reads back. Resolves to true if the connection can be used again. After a failure
 * without an answer, the connection is lost, or still busy.
 */
export async function rolledBack(failure: CacheError, client: pg.PoolClient): Promise<boolean> {
  return !hasCode(failure, 'store-unavailable', 'store-busy') && (await succeeds(client, 'rollback'))
}

/**
 * Returns the failure of a statement that commits. If the session survives the error, the statement was rolled back.
 */
export async function committingFailed(error: unknown, client: pg.PoolClient): Promise<Failed> {
  if (!needsSession(error))
    return { failure: statementFailed(error, 'write'), isUsable: isStatementError(error) }
  if (!(await succeeds(client, ''))) return { failure: connectionLost(error, 'write'), isUsable: false }
  const isCertain = isOfServer(error)
  return {
    failure: statementFailed(error, 'write', isCertain),
    isUsable: isCertain || isStatementError(error),
  }
}

async function succeeds(client: pg.PoolClient, statement: string): Promise<boolean> {
  try {
    await client.query(statement)
    return true
  } catch {
    return false
  }
}
