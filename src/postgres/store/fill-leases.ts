import { randomBytes, randomInt } from 'node:crypto'
import { CacheError, hasCode } from '../../core/errors.js'
import type { FillLeases, LeaseAnswer, WantedLease } from '../../core/leases/fill-leases.js'
import type { Attempts } from '../pool/attempts.js'
import type { Database } from '../pool/database.js'
import { exactMs } from '../schema/exact-number.js'
import type { SchemaName } from '../schema/schema-name.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { entriesIn } from '../schema/table-identity.js'
import { arrayLiteral, groupsIn } from './array-literal.js'
import { expiryIn } from './expiry.js'

export interface PostgresFillLeasesParts {
  readonly database: Pick<Database, 'write'>
  readonly attempts: Attempts
  readonly schema: SchemaName
}

interface Row {
  readonly is_free: boolean
  readonly is_granted: boolean
  /** Null if there is no lease, or if it was given after the statement began. */
  readonly remaining_ms: number | null
}

/** Bytes of a lease that nobody can guess. */
const leaseBytes = 16
/** Number of locks that a transaction takes which removes more than a few names (sql/0010_fill_leases.sql). */
const shares = 16

/** Gives leases, each in one statement that commits by itself. No session is held while a lease is held. */
export class PostgresFillLeases implements FillLeases {
  readonly #parts: PostgresFillLeasesParts

  constructor(parts: PostgresFillLeasesParts) {
    this.#parts = parts
  }

  async acquire({ key, groups, durationMs }: WantedLease): Promise<LeaseAnswer> {
    const lease = randomBytes(leaseBytes).toString('base64url')
    const share = `share ${randomInt(shares) + 1}`
    const names = [share, `key ${key}`, ...groups.map((group) => `group ${group}`)]
    const values = [names, key, lease, arrayLiteral(groups), durationMs]
    const [row] = await this.#send<Row>(acquireText, values)
    if (row?.is_granted) return { kind: 'granted', lease }
    if (!row?.is_free || row.remaining_ms === null) return { kind: 'blocked' }
    return { kind: 'taken', remainingMs: row.remaining_ms }
  }

  async release(key: string, lease: string): Promise<void> {
    await this.#send(releaseText, [key, lease])
  }

  async giveBack(key: string, lease: string): Promise<void> {
    await this.#send(givingBackText, [key, lease])
  }

  async #send<Row extends object>(
    textFor: (schema: string) => string,
    values: unknown[],
  ): Promise<readonly Row[]> {
    const { database, attempts, schema } = this.#parts
    const attempt = async () => database.write<Row>(textFor(await schema.get()), values)
    try {
      return await attempts.run(attempt).catch(schema.explain)
    } catch (error) {
      // A lease that may have been given, and that nobody knows of, ends by itself.
      if (hasCode(error, 'outcome-unknown'))
        throw new CacheError('store-unavailable', error.message, { cause: error.cause })
      throw error
    }
  }
}

/**
 * Returns the statement that gives a lease with the token $3 and the groups $4 for the key $2, for $5 ms, if there is
 * none that has not ended, and if the advisory locks $1 are free. It also deletes some old leases of other keys, whose
 * holders are gone.
 */
function acquireText(schemaName: string): string {
  const leases = leasesIn(schemaName)
  return `with locked as materialized (
      select bool_and(pg_try_advisory_xact_lock(hashtextextended(name, ${entriesIn(schemaName)}::oid::bigint))) as is_free
      from unnest($1::text[]) as name
    ), granted as (
      insert into ${leases} (key, lease, groups, ends_at)
      select $2::text, $3::text, ${groupsIn('$4')}, ${expiryIn('$5::float8')} from locked where is_free
      on conflict (key) do update
        set lease = excluded.lease, groups = excluded.groups, ends_at = excluded.ends_at
        where cache_leases.ends_at <= clock_timestamp()
      returning key
    ), swept as (
      delete from ${leases} where key in (
        select key from ${leases} where ends_at < now() - interval '10 minutes' and key <> $2::text
        limit 10 for update skip locked
      )
    )
    select is_free, granted.key is not null as is_granted,
      (select ${exactMs('ends_at - clock_timestamp()')} from ${leases} where key = $2::text)
        as remaining_ms
    from locked left join granted on true`
}

function releaseText(schemaName: string): string {
  return `delete from ${leasesIn(schemaName)} where key = $1::text and lease = $2::text`
}

function givingBackText(schemaName: string): string {
  return `with ended as (${releaseText(schemaName)} returning key)
    select ${announcementIn(schemaName)} from ended`
}

/** Returns the statement that revokes the leases of the keys $1. */
export function revocationIn(schemaName: string): string {
  const leases = leasesIn(schemaName)
  return `with revoked as (
      delete from ${leases} where key in (
        select key from ${leases} where key = any($1) order by key collate "C" for update
      )
      returning key
    )
    select ${announcementIn(schemaName)} from revoked`
}

/** Returns SQL that announces that the lease of `key` has ended, and that there is no value. */
function announcementIn(schemaName: string): string {
  return `${quoteIdentifier(schemaName)}.cache_announce_revoked(${entriesIn(schemaName)}, key)`
}

/**
 * Returns SQL that tells whether there are leases of keys with these hashes. Roles that have no rights on leases may
 * read the column of hashes only.
 */
export function areLeasedIn(schemaName: string, hashes: string): string {
  return `exists (select from ${leasesIn(schemaName)} where key_hash = any(array(${hashes})))`
}

/** Returns SQL for the table of leases. */
export function leasesIn(schemaName: string): string {
  return `${quoteIdentifier(schemaName)}.cache_leases`
}
