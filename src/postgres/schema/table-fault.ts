import { PublicError } from '../../core/errors.js'
import { quoteIdentifier } from './schema-owner.js'

export const migrateFirst = 'run "caching-layer migrate"'

export const unannounced = 'changes are not announced: a trigger is missing or not enabled'

function kindOf(cure: string): string {
  return cure === migrateFirst
    ? 'the table of entries is missing or not up to date'
    : 'the table of entries cannot be cached as it is'
}

/** Fault of the table. The message is one line with the fault and its cure, which `says` and `cure` have separately. */
export class TableFault extends PublicError {
  override readonly name = 'TableFault'
  readonly says: string
  readonly cure: string

  /** `kind` replaces `says` in the public reason, and names no object of the database. */
  constructor(says: string, cure: string, kind: string = kindOf(cure)) {
    super(
      `${says}: ${cure}`,
      `${kind}: ${cure === migrateFirst ? cure : 'see the log, and run "caching-layer doctor"'}`,
    )
    this.says = says
    this.cure = cure
  }
}

/** Returns SQL that finds another schema with a table `cache_entries` that runs the trigger functions of `schema`. */
export function movedFrom(schema: string): string {
  return `select tables.nspname::text as moved
    from pg_trigger join pg_class on pg_class.oid = tgrelid join pg_namespace as tables on tables.oid = relnamespace
      join pg_proc on pg_proc.oid = tgfoid join pg_namespace as functions on functions.oid = pronamespace
    where tgname = 'cache_entries_2_stamp' and relname = 'cache_entries'
      and functions.nspname = ${schema} and tables.oid <> functions.oid
    limit 1`
}

export function movedFault(schema: string, moved: string): TableFault {
  const [from, to] = [quoteIdentifier(moved), quoteIdentifier(schema)]
  return new TableFault(
    `${schema}.cache_entries was moved to the schema ${moved}`,
    `run as the owner: alter table ${from}.cache_entries set schema ${to}`,
    'the table of entries was moved to another schema',
  )
}
