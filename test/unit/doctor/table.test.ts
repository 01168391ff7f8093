import type pg from 'pg'
import t from 'tap'
import { lookAtTable } from '../../../src/tools/doctor/table.js'

interface Relation {
  readonly id: number
  readonly name: string
  readonly schema: string
  readonly kind: string
  readonly owner: string
  readonly is_foreign: boolean
  readonly schema_owner: string
  readonly may_use_schema: boolean
  readonly is_in_path: boolean
}

const entries: Relation = {
  ...{ id: 7, name: 'cache_entries', schema: 'public', kind: 'r', owner: 'own', is_foreign: false },
  ...{ schema_owner: 'sir', may_use_schema: true, is_in_path: true },
}
/** A table of entries in a schema that is not in the search path. */
const elsewhere = { ...entries, id: 8, schema: 'away', is_in_path: false }

interface Found {
  /** Oid of what the search path finds by the name of the table. */
  readonly id?: number | null
  /** Schema in which a new table would be created. */
  readonly schema?: string | null
  readonly path?: string
  readonly relations?: readonly Relation[]
  readonly closed?: readonly { readonly name: string; readonly owner: string }[]
}

/** Looks at a database where the role `app` finds this. */
async function look({ id = null, schema = 'public', path = 'public', relations = [], closed = [] }: Found) {
  const asked: unknown[][] = []
  const sent: string[] = []
  const query = async (text: string, values: unknown[] = []) => {
    sent.push(text)
    if (values.length > 0) asked.push(values)
    if (text.includes('current_schema')) return { rows: [{ id, schema, path }] }
    if (text.includes('from pg_class')) return { rows: relations }
    if (text.includes('with ordinality')) return { rows: closed }
    return { rows: [{ role: 'app' }] }
  }
  const { check, level, says, cure } = await lookAtTable({ query } as unknown as pg.Client)
  t.equal(check, 'table')
  t.equal(sent[2], "select pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)")
  return { asked, found: [level, says, cure] }
}

const foundIn = async (place: Found) => (await look(place)).found

t.test('a table is in order, and so is a place for one', async (t) => {
  t.strictSame(await foundIn({ id: 7, relations: [entries] }), ['ok', 'public.cache_entries', undefined])
  t.strictSame(
    await foundIn({ id: 7, schema: 'new', relations: [entries] }),
    ['ok', 'public.cache_entries', undefined],
    'it need not be where a new one would be',
  )
  t.strictSame(await foundIn({ schema: 'shop' }), ['ok', 'shop.cache_entries does not exist yet', undefined])
})

t.test('anything else with the name of a table is renamed by its owner', async (t) => {
  for (const [kind, what, keyword] of [
    ['p', 'a partitioned table', 'table'],
    ['v', 'a view', 'view'],
    ['m', 'a materialized view', 'materialized view'],
    ['f', 'a foreign table', 'foreign table'],
    ['S', 'a sequence', 'sequence'],
    ['c', 'a composite type', 'type'],
    ['i', 'an index', 'index'],
    ['I', 'not a table', 'table'],
  ] as const)
    t.strictSame(await foundIn({ id: 7, relations: [{ ...entries, kind }] }), [
      'bad',
      `public.cache_entries is ${what} of role "own", but must be an ordinary table`,
      `run as "own": alter ${keyword} "public".cache_entries rename to cache_entries_before; then run "caching-layer migrate"`,
    ])
  const migrations = { ...entries, id: 9, name: 'cache_migrations', kind: 'v' }
  t.match(await foundIn({ id: 7, relations: [entries, migrations] }), [
    'bad',
    /^public\.cache_migrations is a view/,
    /alter view "public"\.cache_migrations rename to cache_migrations_before/,
  ])
  t.match(await foundIn({ id: 7, relations: [entries, { ...migrations, schema: 'away' }] }), ['ok'])
})

t.test('a superuser does not use the table of an ordinary role', async (t) => {
  t.strictSame(await foundIn({ id: 7, relations: [{ ...entries, is_foreign: true }] }), [
    'bad',
    'public.cache_entries belongs to role "own", which is not a superuser as this one is: ' +
      'it could run code as a superuser',
    'connect as "own" or as a role of sql/least-privilege.sql, or run "caching-layer migrate --owner=own"',
  ])
})

t.test('a schema of the search path that the role may not use is opened by its owner', async (t) => {
  const closed = [{ name: 'shop', owner: 'keeper' }]
  t.strictSame(await foundIn({ schema: null, path: 'shop', closed }), [
    'bad',
    'role "app" has no right to use the schema shop',
    'run as the owner of the schema, "keeper": grant usage on schema "shop" to "app"',
  ])
  const hidden = { ...entries, may_use_schema: false }
  const opened = [
    'bad',
    'role "app" has no right to use the schema public, which has cache_entries',
    'run as the owner of the schema, "sir": grant usage on schema "public" to "app"',
  ]
  t.strictSame(await foundIn({ schema: null, relations: [hidden], closed }), opened, 'the one with the table')
  t.strictSame(
    await foundIn({ schema: null, relations: [hidden, elsewhere], closed }),
    opened,
    'another cache, which the role may use, is not meant',
  )
})

t.test('a table in a schema that the search path does not name may be another cache', async (t) => {
  const says = 'the search_path (new) of role "app" does not name the schema away, which has cache_entries'
  const cure = (sql: string) =>
    `if that is another cache, run "caching-layer migrate" as the owner of this one; if not, run as a superuser: ${sql}`
  const set = 'alter role "app" set search_path = "away"'
  t.strictSame(await foundIn({ path: 'new', relations: [elsewhere] }), ['bad', says, cure(set)])
  const unusable = { ...elsewhere, may_use_schema: false }
  t.strictSame(await foundIn({ path: 'new', relations: [unusable] }), [
    'bad',
    says,
    cure(`grant usage on schema "away" to "app"; ${set}`),
  ])
  const closed = [{ name: 'new', owner: 'keeper' }]
  t.strictSame(await foundIn({ path: 'new', relations: [elsewhere], closed }), ['bad', says, cure(set)])
  for (const other of [{ kind: 'v' }, { name: 'cache_migrations' }])
    t.match(await foundIn({ path: 'new', relations: [{ ...elsewhere, ...other }] }), ['ok'])
})

t.test('a search path that leads nowhere is set', async (t) => {
  t.strictSame(await foundIn({ schema: null, path: 'nowhere' }), [
    'bad',
    'the search_path (nowhere) of role "app" names no schema that exists and that it may use',
    'run as a superuser: alter role "app" set search_path = public',
  ])
})

t.test('the names of a search path are those of SQL', async (t) => {
  const { asked } = await look({ path: '"$user", public,"a ""b"", c", "", $user' })
  const schemas = ['app', 'public', 'a "b", c', '', 'app']
  t.strictSame(asked, [[['cache_entries', 'cache_migrations'], schemas], [schemas]])
})
