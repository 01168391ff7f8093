import { readFile } from 'node:fs/promises'
import t from 'tap'
import { cacheDatabase } from '../../support/database.js'

const page = await readFile('docs/reference/sql-schema.md', 'utf8')
const namesIn = (title: string) => {
  const [, section = ''] = new RegExp(`^## ${title}\n(.*?)(?=^## |(?![^]))`, 'ms').exec(page) ?? []
  return [...section.matchAll(/^\| `(\w+)/gm)].map(([, name]) => name)
}

t.test(
  'docs/reference/sql-schema.md lists every table, every column, and functions that exist',
  async (t) => {
    const { query } = await cacheDatabase(t)
    const namesOf = async (sql: string) => (await query(sql)).rows.map(({ name }) => name)
    t.strictSame(
      namesIn('Entries'),
      await namesOf(`select attname as name from pg_attribute
      where attrelid = 'cache_entries'::regclass and attnum > 0 and not attisdropped order by attnum`),
    )
    t.strictSame(
      ['cache_entries', ...namesIn('What belongs to the sidecars')].sort(),
      await namesOf(`select relname as name from pg_class
      where relkind = 'r' and relnamespace = 'public'::regnamespace order by relname collate "C"`),
    )
    const functions = await namesOf(`select distinct proname as name from pg_proc
    where pronamespace = 'public'::regnamespace`)
    const documented = namesIn('Functions')
    t.ok(documented.length > 0)
    t.strictSame(
      documented.filter((name) => !functions.includes(name)),
      [],
    )
  },
)
