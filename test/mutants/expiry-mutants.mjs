/** Mistakes with times to live of rows (P12). */

const caughtBy = 'core/protocol/expiry'
const expiry = 'sql/0007_expiry.sql'
const expiredDeletes = { caughtBy: 'postgres/expired-deletes' }
const sweep = { caughtBy: 'postgres/sweep', file: 'src/postgres/sweep/sweep-statement.ts' }
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
  {
    name: 'the end of an expired row is announced',
    ...expiredDeletes,
    file: expiry,
    find: '      from changed\n      where tg_op <> ',
    replace: '      from changed\n      where true or tg_op <> ',
  },
  {
    name: 'an UPDATE to the past is not announced',
    ...expiredDeletes,
    file: expiry,
    find: "    select from changed\n    where tg_op <> 'DELETE' or ",
    replace: '    select from changed\n    where ',
  },
  {
    name: 'a row counts as expired by the clock alone',
    ...expiredDeletes,
    file: expiry,
    find: 'least(pg_catalog.now(), pg_catalog.clock_timestamp()) -',
    replace: 'pg_catalog.clock_timestamp() -',
  },
  {
    name: 'the end of a row that has just expired is not announced',
    ...expiredDeletes,
    file: expiry,
    find: "pg_catalog.clock_timestamp()) - interval '10 seconds'",
    replace: "pg_catalog.clock_timestamp()) - interval '0 seconds'",
  },
  {
    name: 'replicated rows that had expired are announced',
    ...expiredDeletes,
    file: expiry,
    find: 'old.expires_at is null or old.expires_at >',
    replace: 'true or old.expires_at >',
  },
  {
    name: 'a sweep waits for locked rows',
    ...sweep,
    tests: 'rows that are locked',
    find: ' for update skip locked',
    replace: ' for update',
  },
  {
    name: 'two sidecars sweep at a time',
    ...sweep,
    tests: 'one sidecar at a time',
    find: 'where present.sidecar = excluded.sidecar or ',
    replace: 'where true or present.sidecar = excluded.sidecar or ',
  },
  {
    name: 'a turn that cannot end',
    ...sweep,
    tests: 'one sidecar at a time',
    find: 'or present.until > ',
    replace: 'or present.until is null and present.until > ',
  },
  {
    name: 'a time to live is rounded as the session says',
    caughtBy: 'postgres/leaked-settings',
    file: 'src/postgres/schema/exact-number.ts',
    find: 'pg_catalog.to_json($',
    replace: 'pg_catalog.float8($',
  },
  {
    name: 'a sweep believes the clock of the database at once',
    ...sweep,
    tests: 'by a clock that has just been put forward',
    find: 'least(now(), to_timestamp($2::float8))',
    replace: 'greatest(now(), to_timestamp($2::float8))',
  },
  {
    name: 'a sweep of rows that have just expired',
    ...sweep,
    tests: 'a sweep removes what has expired',
    find: 'const expiredForSeconds = 10',
    replace: 'const expiredForSeconds = 0',
  },
]
