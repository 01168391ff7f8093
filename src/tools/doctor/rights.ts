import type pg from 'pg'
import { inTransaction } from '../../postgres/pool/transaction.js'
import { columnsFor } from '../../postgres/schema/entry-columns.js'
import { openSchema, quoteIdentifier } from '../../postgres/schema/schema-owner.js'
import { bad, type Finding, ok, runAs, warning } from './finding.js'

type Privilege = 'select' | 'insert' | 'update' | 'delete' | 'usage'

interface Need {
  readonly privilege: Privilege
  readonly relation: string
  /** Columns that the statements name; undefined if the right is needed on the whole relation. */
  readonly columns?: readonly string[]
  /** True if the right must not be granted on the whole relation. */
  readonly isOfColumns?: true
  /** Consequence of a missing right. */
  readonly without: string
  /** True if a role may lack the right on purpose. */
  readonly isOptional?: true
}

const noDrains = 'keys of bound tables are not served from memory, because their changes cannot be announced'
const noLeases = 'no fill lease is given'
const noMarks = 'after an outage, pending writes of keys that were not in memory are given up as conflicts'

const noSweeps = 'rows that have expired are not removed by this sidecar'

const notInFleet = 'this sidecar is not in the list of the fleet'

/**
 * Rights that the statements of a sidecar need (`postgres/store/*-statement*.ts`, `fill-leases.ts`,
 * `postgres/feed/proof.ts`).
 */
const needs: readonly Need[] = [
  {
    privilege: 'select',
    relation: 'cache_entries',
    columns: columnsFor('select'),
    without: 'no entry can be read',
  },
  {
    privilege: 'insert',
    relation: 'cache_entries',
    columns: columnsFor('insert'),
    without: 'no entry can be set',
  },
  {
    privilege: 'select',
    relation: 'cache_version',
    without: 'the feed cannot tell where the database stands',
  },
  { privilege: 'usage', relation: 'cache_version', without: 'no entry can be set' },
  {
    privilege: 'update',
    relation: 'cache_entries',
    columns: columnsFor('update'),
    without: 'no entry can be set, because a set updates the row that may be there, and none can be deleted',
  },
  {
    privilege: 'delete',
    relation: 'cache_entries',
    without: 'no entry can be deleted',
    isOptional: true,
  },
  {
    privilege: 'select',
    relation: 'cache_entries',
    columns: ['groups'],
    without: 'entries can be neither listed nor removed by group',
    isOptional: true,
  },
  {
    privilege: 'insert',
    relation: 'cache_entries',
    columns: ['expires_at'],
    without: 'no entry can be set with a time to live',
    isOptional: true,
  },
  {
    privilege: 'select',
    relation: 'cache_entries',
    columns: ['xmin'],
    without: 'pending writes cannot be sent after an outage',
    isOptional: true,
  },
  { privilege: 'select', relation: 'cache_marks', without: noMarks, isOptional: true },
  { privilege: 'insert', relation: 'cache_marks', without: noMarks, isOptional: true },
  { privilege: 'delete', relation: 'cache_marks', without: noMarks, isOptional: true },
  { privilege: 'select', relation: 'cache_sweeper', without: noSweeps, isOptional: true },
  { privilege: 'insert', relation: 'cache_sweeper', without: noSweeps, isOptional: true },
  { privilege: 'update', relation: 'cache_sweeper', without: noSweeps, isOptional: true },
  { privilege: 'select', relation: 'cache_sidecars', without: notInFleet, isOptional: true },
  { privilege: 'insert', relation: 'cache_sidecars', without: notInFleet, isOptional: true },
  { privilege: 'update', relation: 'cache_sidecars', without: notInFleet, isOptional: true },
  { privilege: 'delete', relation: 'cache_sidecars', without: notInFleet, isOptional: true },
  {
    privilege: 'select',
    relation: 'cache_leases',
    without: `${noLeases}, and no entry can be deleted while a client computes it, because a delete revokes its lease`,
    isOptional: true,
  },
  { privilege: 'insert', relation: 'cache_leases', without: noLeases, isOptional: true },
  { privilege: 'update', relation: 'cache_leases', without: noLeases, isOptional: true },
  {
    privilege: 'delete',
    relation: 'cache_leases',
    without: `${noLeases}, and entries cannot be removed by group or prefix, because that revokes leases`,
    isOptional: true,
  },
  {
    privilege: 'select',
    relation: 'cache_bound_tables',
    without: 'the feed cannot tell which keys are bound to tables',
  },
  {
    privilege: 'update',
    relation: 'cache_bound_tables',
    columns: ['invalidations'],
    isOfColumns: true,
    without: 'keys that are bound to tables cannot be invalidated by group or prefix',
    isOptional: true,
  },
  {
    privilege: 'select',
    relation: 'cache_bound_queries',
    without: 'the feed cannot tell which keys are bound to queries',
  },
  {
    privilege: 'update',
    relation: 'cache_bound_queries',
    columns: ['invalidations'],
    isOfColumns: true,
    without: 'keys that are bound to queries cannot be invalidated by group or prefix',
    isOptional: true,
  },
  {
    privilege: 'select',
    relation: 'cache_dependencies',
    without: 'the feed cannot tell which keys are bound to queries',
  },
  { privilege: 'select', relation: 'cache_outbox', without: noDrains, isOptional: true },
  { privilege: 'delete', relation: 'cache_outbox', without: noDrains, isOptional: true },
]

const noHistory = 'the feed cannot tell which history the database has'
const noQueries = 'the feed cannot tell what bound queries read'
const noRemoval = 'entries cannot be removed by key, group or prefix through /v1/invalidate'

/** Functions that a sidecar calls, each with the consequence of a missing right. */
const functions: Readonly<Record<string, Pick<Need, 'without' | 'isOptional'>>> = {
  cache_system_identifier: { without: noHistory },
  cache_database_oid: { without: noHistory },
  cache_knows_timeline: { without: noHistory },
  cache_history: { without: noHistory },
  cache_epoch_of: { without: noHistory },
  cache_lineage: { without: noHistory },
  cache_uses: { without: noQueries },
  cache_forbidden_uses: { without: noQueries },
  cache_dependents: { without: noDrains, isOptional: true },
  cache_remove: { without: noRemoval, isOptional: true },
  cache_invalidate_bound: { without: noRemoval, isOptional: true },
  cache_announce_revoked: { without: noRemoval, isOptional: true },
}

/** The functions that lead from changed rows to keys of bound queries. */
const mappings = '^cache_map_[0-9a-f]{12}_[0-9]+$'
const ofMappings: Pick<Need, 'without' | 'isOptional'> = {
  without: 'a change of a table that a bound query reads makes sidecars drop all keys of that query',
  isOptional: true,
}

/** Missing rights of the role, and the finding about them. */
export interface Rights {
  readonly finding: Finding
  /** Missing rights, such as `delete cache_entries`. */
  readonly missing: ReadonlySet<string>
}

/** Checks that the role has the rights that a sidecar needs; on tables, for each column. */
export async function lookAtRights(client: pg.Client): Promise<Rights> {
  return inTransaction(client, async () => {
    const { name, entries } = await openSchema(client)
    const schema = quoteIdentifier(name)
    const wanted = needs.flatMap((need, index) =>
      (need.columns ?? [null]).map((column) => ({ index, ...need, column })),
    )
    const { rows } = await client.query<{ role: string; index: number; column: string | null }>(
      `select current_user::text as role, index, "column"
       from unnest($1::int[], $2::text[], $3::text[], $4::text[]) as need (index, relation, privilege, "column")
       where not case
         when relation = 'cache_version' then has_sequence_privilege($5 || '.' || relation, privilege)
         when "column" is not null then has_column_privilege($5 || '.' || relation, "column", privilege)
         else has_table_privilege($5 || '.' || relation, privilege)
       end`,
      [
        wanted.map(({ index }) => index),
        wanted.map(({ relation }) => relation),
        wanted.map(({ privilege }) => privilege),
        wanted.map(({ column }) => column),
        schema,
      ],
    )
    const { rows: calls } = await client.query<{ name: string; signature: string }>(
      `select proname::text as name, oid::regprocedure::text as signature from pg_proc
       where pronamespace = $1::text::regnamespace and (proname = any($2::text[]) or proname ~ $3)
         and not has_function_privilege(oid, 'execute')
       order by 2`,
      [schema, Object.keys(functions), mappings],
    )
    const { rows: me } = await client.query<{ role: string }>('select current_user::text as role')
    const role = me[0]?.role ?? ''
    const lacking = needs.flatMap((need, index) => {
      const columns = rows.filter((row) => row.index === index).map(({ column }) => column)
      const lost = columns.filter((column) => column !== null)
      const isWhole = !need.isOfColumns && lost.length === (need.columns ?? []).length
      return columns.length === 0 ? [] : [{ ...need, lost, isWhole }]
    })
    const uncallable = calls.map(({ name }) => functions[name] ?? ofMappings)
    const missing = new Set(lacking.map(({ privilege, relation }) => `${privilege} ${relation}`))
    if (lacking.length === 0 && calls.length === 0)
      return { missing, finding: ok('rights', `"${role}" may do what a sidecar does`) }
    const grants = [
      ...lacking.map(({ privilege, relation, lost, isWhole }) => {
        return `grant ${privilege}${isWhole ? '' : ` (${lost.join(', ')})`} on ${schema}.${relation}`
      }),
      ...(calls.length > 0
        ? [`grant execute on function ${calls.map(({ signature }) => signature).join(', ')}`]
        : []),
    ].map((grant) => `${grant} to ${quoteIdentifier(role)}`)
    const consequences = [
      ...lacking.map(({ without }) => without),
      ...uncallable.map(({ without }) => without),
    ]
    const lost = [
      ...lacking.map(({ privilege, relation, lost, isWhole }) =>
        isWhole ? `${privilege} on ${relation}` : `${privilege} on ${lost.join(', ')} of ${relation}`,
      ),
      ...calls.map(({ signature }) => `execute on ${signature}`),
    ]
    const says = `role "${role}" has no right to ${[...new Set(lost)].join(', ')}: ${[...new Set(consequences)].join('; ')}`
    const cure = runAs(`the owner, "${entries?.owner}"`, ...new Set(grants))
    const isOptional = [...lacking, ...uncallable].every((need) => need.isOptional)
    return {
      missing,
      finding: isOptional
        ? warning('rights', says, `if that is not intended, ${cure}`)
        : bad('rights', says, cure),
    }
  })
}
