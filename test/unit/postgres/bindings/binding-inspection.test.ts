import t from 'tap'
import { inspectBindings } from '../../../../src/postgres/bindings/binding-inspection.js'
import type { Query } from '../../../../src/postgres/schema/table-inspection.js'
import { soundTable } from '../../../support/sound-table.js'

const table = {
  ...soundTable,
  bound_name: 'public.item',
  table: 'public.item',
  key_columns: ['id', 'day'],
  key_types: ['integer', 'date'],
  column_types: ['integer', 'text'],
  fingerprint: 'f',
}

/** Inspects bindings of tables with these patterns, whose rows have these members. */
async function inspected(tables: readonly string[], row: (pattern: string) => object = () => ({})) {
  const parts: (readonly string[])[] = []
  const query = (async (sql: string) => {
    if (sql.includes('as digest')) return [{ digest: 'one', tables, queries: [] }]
    const named = tables.filter((pattern) => sql.includes(`'${pattern.replaceAll("'", "''")}'`))
    parts.push(named)
    return named.map((pattern) => ({ ...table, pattern, ...row(pattern) }))
  }) as unknown as Query
  return { ...(await inspectBindings(query, 'public')), parts }
}

t.test('a statement inspects ten bindings at most, and none is left out', async (t) => {
  const patterns = Array.from({ length: 21 }, (_, index) => `item ${index + 10}:{id}:{day}`)
  const { digest, sources, parts } = await inspected(patterns)
  t.equal(digest, 'one')
  t.strictSame(
    parts.map(({ length }) => length),
    [10, 10, 1],
  )
  t.strictSame(
    sources.map(({ pattern }) => pattern.text),
    patterns,
  )
})

t.test('without bindings, nothing is inspected', async (t) => {
  const { sources, parts } = await inspected([])
  t.strictSame([sources, parts], [[], []])
})

t.test('a pattern with a quote is found', async (t) => {
  const { sources } = await inspected(["o'clock:{id}:{day}"])
  t.equal(sources.length, 1)
})

t.test('a bound table is described as it was found', async (t) => {
  const { sources } = await inspected(['item:{id}:{day}'])
  t.match(sources, [
    {
      table: 'public.item',
      keyColumns: [
        { name: 'id', type: 'integer' },
        { name: 'day', type: 'date' },
      ],
      viaOutbox: true,
      columnTypes: ['integer', 'text'],
      columns: undefined,
      fault: undefined,
      fingerprint: 'f ',
    },
  ])
  const notifying = await inspected(['item:{id}:{day}'], () => ({ announce: 'notify', columns: ['text'] }))
  t.match(notifying.sources, [{ viaOutbox: false, columns: ['text'] }])
})

t.test('a fault is part of the fingerprint, so that its end is noticed', async (t) => {
  const { sources } = await inspected(['item:{id}:{day}'], () => ({ table: null }))
  t.match(sources, [
    {
      table: undefined,
      fault: { says: 'the table public.item was dropped' },
      fingerprint: 'f the table public.item was dropped',
    },
  ])
})
