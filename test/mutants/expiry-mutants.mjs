/** Mistakes with times to live of rows (P12). */

const caughtBy = 'expiry'
const pending = 'src/core/writes/pending-writes.ts'

export const expiryMutants = [
  {
    name: 'a pending write is served past its time',
    caughtBy,
    file: pending,
    find: 'expiresAtMs !== undefined && expiresAtMs <= nowMs ? undefined : value',
    replace: 'expiresAtMs !== undefined && expiresAtMs <= nowMs - 60_000 ? undefined : value',
  },
  {
    name: 'a pending write is sent without its time to live',
    caughtBy,
    file: pending,
    find: '{ ttlMs: expiresAtMs - nowMs }',
    replace: '{ ttlMs: undefined }',
  },
  {
    name: 'an expired row that is gone is a conflict',
    caughtBy,
    file: pending,
    find: 'mayHaveExpired: rowExpiresAtMs !== undefined && rowExpiresAtMs <= nowMs',
    replace: 'mayHaveExpired: rowExpiresAtMs === nowMs - 60_000',
  },
  {
    name: 'a row that is gone before it could expire is no conflict',
    caughtBy,
    file: pending,
    find: 'mayHaveExpired: rowExpiresAtMs !== undefined && rowExpiresAtMs <= nowMs',
    replace: 'mayHaveExpired: rowExpiresAtMs !== undefined',
  },
  {
    name: 'an expired write in doubt is judged as it would be sent now',
    caughtBy,
    file: 'src/core/writes/delivery.ts',
    find: 'members.map(([, { sent }]) => sent)',
    replace: 'members.map(([, { write }]) => sentWrite(write, this.#parts.clock.now()))',
  },
  {
    name: 'writes with and without a time to live in one statement',
    caughtBy,
    file: 'src/core/batching/batched-store.ts',
    find: '      groupOf: (write) => formOf(write),\n',
    replace: "      groupOf: (write) => formOf(write) && 'one',\n",
  },
  {
    name: 'corrections of the database clock do not add up',
    caughtBy,
    file: 'src/core/state/database-clock.ts',
    find: 'this.#mostMs = hasJumped ? mostMs : Math.min(this.#mostMs, mostMs)',
    replace: 'this.#mostMs = mostMs',
  },
  {
    name: 'a missing row counts as expired in another history',
    caughtBy: 'postgres/expiry',
    tests: 'a missing row is no change',
    file: 'src/postgres/store/settle-statement.ts',
    find: 'or may_have_expired and held_epoch = epoch',
    replace: 'or may_have_expired',
  },
  {
    name: 'a delete of an expired row has a version',
    caughtBy: 'postgres/expiry',
    tests: 'a delete of a row',
    file: 'src/postgres/store/entry-statements.ts',
    find: "case when expires_at is null or expires_at > clock_timestamp() then '-' || version::text end\n          as version",
    replace: "'-' || version::text as version",
  },
]
