import t from 'tap'
import { faultOf, type TableShape } from '../../../src/postgres/schema/table-shape.js'
import { triggers } from '../../../src/postgres/schema/table-triggers.js'
import { soundEntries as sound } from '../../support/sound-entries.js'

const names = Object.keys(triggers)
const migrate = 'run "caching-layer migrate"'
const alter = 'run as the owner: alter table "public".cache_entries'

/** Returns what is said about a table and its cure; undefined if it can be cached. */
function fault(row: Partial<TableShape>): readonly [string, string] | undefined {
  const found = faultOf({ ...sound, ...row })
  if (found) t.equal(found.message, `${found.says}: ${found.cure}`)
  return found && [found.says.replace('public.cache_entries ', ''), found.cure]
}

t.test('a table as the migrations make it can be cached', async (t) => {
  t.equal(fault({}), undefined)
  for (const key_type of ['character varying', 'character varying(40)'])
    t.equal(fault({ key_type }), undefined, key_type)
  t.equal(fault({ functions_schema: null, key_is_exact: null }), undefined)
})

t.test('what is no ordinary table of this role cannot be cached', async (t) => {
  t.match(fault({ foreign_owner: 'app' }), [/^belongs to role "app"/, 'connect as another role'])
  for (const [kind, says] of [
    ['p', 'is a partitioned table, which cannot be cached'],
    ['v', 'is a view, which cannot be cached'],
    ['m', 'is a materialized view, which cannot be cached'],
    ['f', 'is a foreign table, which cannot be cached'],
    ['S', 'is not a table, which cannot be cached'],
  ] as const)
    t.strictSame(fault({ kind }), [says, 'it must be an ordinary table'])
  t.match(fault({ untying: ['one', 'two'] }), [/^has parents or children/, 'run as the owner: one; two'])
  t.match(fault({ untying: ['one'] }), [/^has parents or children/, 'run as the owner: one'])
})

t.test('a table without what migrations add is not set up', async (t) => {
  const added = ['version', 'content_type', 'expires_at', 'groups']
  t.strictSame(fault({ lacks: added }), ['is not set up', migrate])
  t.strictSame(fault({ lacks: [...added, 'updated_at'] }), ['is not set up', migrate])
  t.strictSame(fault({ missing: names }), ['is not set up', migrate])
  t.strictSame(fault({ lacks: ['groups', 'version'] }), ['lacks the column groups, version', migrate])
  t.strictSame(fault({ is_up_to_date: false }), ['is not up to date', migrate])
  t.strictSame(fault({ functions_schema: 'old' }), [
    'was moved away from its functions, which are in old',
    migrate,
  ])
})

t.test('columns of the original service are restored by hand', async (t) => {
  t.strictSame(fault({ lacks: ['updated_at'] }), [
    'lacks the column updated_at',
    `${alter} add column updated_at timestamp not null default now()`,
  ])
  t.strictSame(fault({ lacks: ['value'] }), [
    'lacks the column value',
    'restore the table from a backup, or begin with an empty one: ' +
      'run as the owner: truncate "public".cache_entries; ' +
      'alter table "public".cache_entries add column value text not null',
  ])
  t.strictSame(fault({ lacks: ['updated_at', 'groups'] })?.[1], migrate)
})

t.test('columns and indexes must have the right form', async (t) => {
  for (const key_type of ['citext', 'bigint', null])
    t.strictSame(fault({ key_type }), [
      `has a key of type ${key_type}`,
      `${alter} alter column key type text`,
    ])
  t.match(fault({ key_is_exact: false }), [
    /collation/,
    `${alter} alter column key type text collate "default"`,
  ])
  t.match(fault({ has_unique_key: false }), [
    /^has no unique index on key/,
    'run as the owner: create unique index on "public".cache_entries (key)',
  ])
  t.strictSame(fault({ rules: ['a', 'b'] }), [
    'has the rule a, b, with which it cannot be written',
    'run as the owner: drop rule "a" on "public".cache_entries; drop rule "b" on "public".cache_entries',
  ])
  t.match(fault({ rules: ['a'] }), [
    /^has the rule a, /,
    'run as the owner: drop rule "a" on "public".cache_entries',
  ])
  t.strictSame(fault({ value_type: 'jsonb' }), [
    'has a value of type jsonb',
    `${alter} alter column value type text`,
  ])
  t.strictSame(fault({ has_nullable_value: true }), [
    'has values that may be null',
    `${alter} alter column value set not null`,
  ])
  t.strictSame(fault({ odd_columns: ['version integer', 'groups text'] }), [
    'has columns of another type than in sql/: version integer, groups text',
    `${alter} alter column version drop default, alter column version type bigint using version::bigint, ` +
      'alter column version set default 0, ' +
      'alter column groups drop default, alter column groups type text[] using groups::text[]',
  ])
  t.match(fault({ odd_columns: ['groups text'] }), [
    /^has columns of another type than in sql\/: groups text$/,
    /./,
  ])
})

t.test('triggers must exist and be enabled', async (t) => {
  t.strictSame(fault({ missing: ['cache_entries_2_stamp', 'cache_entries_3_deleted'] }), [
    'changes are not announced: trigger cache_entries_2_stamp, cache_entries_3_deleted is missing',
    migrate,
  ])
  t.match(fault({ missing: ['cache_entries_2_stamp'] }), [
    /trigger cache_entries_2_stamp is missing$/,
    migrate,
  ])
  t.strictSame(fault({ disabled: ['cache_entries_2_stamp', 'cache_entries_4_replicated'] }), [
    'changes are not announced: trigger cache_entries_2_stamp, cache_entries_4_replicated is not enabled always',
    `${alter} enable always trigger cache_entries_2_stamp, enable replica trigger cache_entries_4_replicated`,
  ])
  const { publicReason } = faultOf({ ...sound, disabled: ['cache_entries_2_stamp'] }) ?? {}
  t.match(publicReason, /^changes are not announced: a trigger is missing or not enabled: see the log/)
})
