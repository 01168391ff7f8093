import pg from 'pg'

/** Returns an error as the driver makes it of an answer of the server. */
export function databaseError(code: string, fields: Partial<pg.DatabaseError> = {}): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('message', 7, 'error'), { code, ...fields })
}
