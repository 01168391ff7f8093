import t from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { comparesBytes, entryListStatements } from '../../../src/postgres/store/entry-list-statements.js'
import { cacheDatabase, freshDatabase } from '../../support/database.js'

t.test('a collation that compares bytes is recognised', async (t) => {
  const collations = {
    default: true,
    C: true,
    POSIX: true,
    ucs_basic: true,
    'en-x-icu': false,
    unicode: false,
  }
  const { query } = await cacheDatabase(t)
  for (const [collation, wanted] of Object.entries(collations)) {
    await query(`alter table cache_entries alter column key type text collate "${collation}"`)
    const { rows } = await query(comparesBytes, ['public'])
    t.strictSame(rows, [{ compares_bytes: wanted }], collation)
  }
  const icu = await freshDatabase(t, {
    template: 'template0',
    with: "locale_provider icu icu_locale 'en' locale 'C'",
  })
  await migrate(icu.url)
  t.strictSame((await icu.query(comparesBytes, ['public'])).rows, [{ compares_bytes: false }])
  t.strictSame((await icu.query(comparesBytes, ['elsewhere'])).rows, [])
})

t.test('a page reads as many rows as it has, by an index', async (t) => {
  const { query } = await cacheDatabase(t)
  await query("insert into cache_entries (key, value) select 'k' || n, 'x' from generate_series(1, 20000) n")
  await query('analyze cache_entries')
  const plan = async (isIndexed: boolean) => {
    const { rows } = await query<{ 'QUERY PLAN': string }>(
      `explain (analyze, costs off) ${entryListStatements('public', isIndexed).rows}`,
      ['k3', 'k%', 11],
    )
    return rows.map((row) => row['QUERY PLAN']).join('\n')
  }
  const ofKey = await plan(true)
  t.match(ofKey, /Index Scan using cache_entries_pkey .* rows=11(\.00)? /)
  t.notMatch(ofKey, /Sort/)
  await query('alter table cache_entries alter column key type text collate "en-x-icu"')
  t.match(await plan(false), /Seq Scan/)
  await query('create index concurrently on cache_entries (key collate "C")')
  await query('analyze cache_entries')
  const ofBytes = await plan(false)
  t.match(ofBytes, /Index Scan using cache_entries_key_idx .* rows=11(\.00)? /)
  t.notMatch(ofBytes, /Sort /)
})
