import { randomUUID } from 'node:crypto'
import { type FreshDatabase, freshDatabase, type Owner } from './database.js'

/**
 * A role that can be locked out of its database, so that the database is unavailable for it, and not for the test. It
 * is an ordinary role that owns one database, and has no other rights.
 */
export interface Guest {
  readonly name: string
  readonly url: string
  /** Ends its sessions and refuses it new ones. */
  shutOut(): Promise<void>
  letIn(): Promise<void>
}

/** Creates a role that owns `database`. It is dropped, with the database, when the test ends. */
export async function guestOf(t: Owner, database: FreshDatabase): Promise<Guest> {
  // Only from another database can the first one be dropped before its owner is.
  const { query } = await freshDatabase(t)
  const name = `test_${randomUUID().replaceAll('-', '_')}`
  const password = randomUUID()
  await query(`create role ${name} login password '${password}'`)
  t.teardown(async () => {
    await database.drop()
    await query(`drop role ${name}`)
  })
  await query(`alter database ${database.name} owner to ${name}`)
  return {
    name,
    url: Object.assign(new URL(database.url), { username: name, password }).href,
    async shutOut() {
      await query(`alter role ${name} nologin`)
      await query('select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = $1', [name])
    },
    async letIn() {
      await query(`alter role ${name} login`)
    },
  }
}
