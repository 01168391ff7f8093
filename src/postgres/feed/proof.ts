import type { Epoch } from '../../core/entry.js'
import type { Proof } from '../../core/ports.js'
import { bindingsDigestIn } from '../bindings/binding-inspection.js'
import type { Drained } from '../outbox/drain-session.js'
import { preparedTransactions } from '../outbox/prepared-transactions.js'
import { exactMs } from '../schema/exact-number.js'
import { quoteIdentifier } from '../schema/schema-owner.js'
import { epochIn, fingerprintIn } from '../schema/table-identity.js'

export interface ProofRow {
  readonly epoch: Epoch
  readonly latest: string
  readonly fingerprint: string
  readonly database_ms: number
  /** Digest of the definitions of all bindings. */
  readonly bindings: string
  /** Prepared transactions, with spaces in between. */
  readonly prepared: string
}

/**
 * Returns the SQL of the probe, which returns one row: epoch, position, fingerprint of the table, the database's
 * clock, the digest of the bindings, and the prepared transactions. Fails once the table has been renamed, moved or dropped.
 */
export function proofIn(schema: string): string {
  return `select ${epochIn(schema)} as epoch, ((last_value << 24) | 16777215::bigint)::text as latest,
    ${fingerprintIn(schema)} as fingerprint, ${bindingsDigestIn(schema)} as bindings,
    ${preparedTransactions} as prepared, ${exactMs('clock_timestamp()')} as database_ms
    from ${quoteIdentifier(schema)}.cache_version`
}

/** @param drained the last drain that was answered before the probe was sent */
export function proofOf(
  { epoch, latest, fingerprint, database_ms }: ProofRow,
  drained: Pick<Drained, 'epoch' | 'sentMs'> | undefined,
): Proof {
  // If the epochs differ, the drain was answered by another server than the probe.
  const drainedMs = drained?.epoch === epoch ? drained.sentMs : undefined
  return { epoch, latest: BigInt(latest), fingerprint, databaseMs: Number(database_ms), drainedMs }
}

/** Returns the statement that prepares the probe in a session. */
export function prepareProbeIn(schema: string): string {
  return `prepare caching_layer_probe as ${proofIn(schema)}`
}

/** Statement that sends the probe, once it is prepared. */
export const probe = 'execute caching_layer_probe'
