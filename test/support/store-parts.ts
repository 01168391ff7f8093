import { Attempts } from '../../src/postgres/pool/attempts.js'
import { Database } from '../../src/postgres/pool/database.js'
import { SchemaName } from '../../src/postgres/schema/schema-name.js'
import type { Owner } from './database.js'

/** Returns what a store needs of a migrated database. Its connections are closed at the end of the test. */
export function storeParts(t: Owner, url: string, { poolSize = 2, timeoutMs = 10_000 } = {}) {
  const log = { info: () => undefined, warn: () => undefined }
  const clock = { now: () => performance.now(), defer: setImmediate }
  const database = new Database({ url, poolSize, timeoutMs, log })
  t.teardown(() => database.close())
  return { database, attempts: new Attempts({ clock, log, timeoutMs }), schema: new SchemaName(database) }
}
