import { readFile } from 'node:fs/promises'
import pg from 'pg'
import type { Bench } from '../bench.js'
import type { Comparison, Contender, Missing } from '../comparison.js'
import { pgbench, pgbenchMissing } from '../load/pgbench.js'
import type { BenchDatabase } from '../postgres.js'

const keys = 100_000
const clients = 8
const bulk = [100, 10_000, 100_000] as const

const oneRow = `\\set n random(1, ${keys})
update cache_entries set value = '${'y'.repeat(100)}' where key = 'key:' || :n::text;
`

const variants = {
  'as shipped': 'as-shipped.sql',
  'statement trigger': 'statement.sql',
  'with a one-row shortcut': 'shortcut.sql',
  'row trigger': 'row.sql',
  'no trigger': 'none.sql',
} as const

/** The trigger that announces, in the ways there are; the one that stamps versions stays. One client listens. */
export const triggers: Comparison = {
  name: 'triggers',
  about: 'what announcing a change costs the one who writes',
  rows: ['statement trigger', 'with a one-row shortcut', 'row trigger', 'no trigger'].flatMap((against) => [
    {
      work: `UPDATE of 1 row, ${clients} clients`,
      figure: 'oneRow',
      unit: 'updates/s',
      of: 'as shipped',
      against,
    },
    ...bulk.map((count) => ({
      work: `UPDATE of ${count.toLocaleString('en-US')} rows`,
      figure: `update${count}Ms`,
      unit: 'ms',
      of: 'as shipped',
      against,
    })),
    { work: 'INSERT of 10,000 rows', figure: 'insertMs', unit: 'ms', of: 'as shipped', against },
  ]),
  open: (bench) => Promise.all(Object.entries(variants).map(([name, file]) => contender(bench, name, file))),
}

async function contender(bench: Bench, name: string, file: string): Promise<Contender | Missing> {
  if (pgbenchMissing) return { name, missing: pgbenchMissing }
  const database = await bench.postgres.database({ rows: keys })
  await database.query(await readFile(new URL(`../triggers/${file}`, import.meta.url), 'utf8'))
  const listener = new pg.Client({ connectionString: database.url })
  await listener.connect()
  bench.teardown(() => listener.end())
  await listener.query(`listen ${pg.escapeIdentifier(database.channel)}`)
  return {
    name,
    measure: async ({ seconds }) => {
      await settle(database)
      const { rate } = await pgbench({ url: database.url, script: oneRow, clients, seconds })
      const figures: Record<string, number> = { oneRow: rate }
      for (const count of bulk) {
        await settle(database)
        figures[`update${count}Ms`] = await timed(() =>
          database.query("update cache_entries set value = 'z' where key = any($1)", [
            Array.from({ length: count }, (_, index) => `key:${1 + index}`),
          ]),
        )
      }
      await settle(database)
      figures.insertMs = await timed(() =>
        database.query(
          "insert into cache_entries (key, value) select 'new:' || n, 'x' from generate_series(1, 10000) as n",
        ),
      )
      await database.query("delete from cache_entries where key like 'new:%'")
      return figures
    },
  }
}

async function settle({ query }: BenchDatabase): Promise<void> {
  await query('vacuum cache_entries')
  await query('checkpoint')
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}
