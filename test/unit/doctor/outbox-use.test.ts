import type pg from 'pg'
import t from 'tap'
import { isOutboxUsed } from '../../../src/tools/doctor/bindings.js'

/** Looks at a database with these bindings, or without the tables for them. */
async function look({ tables = [], queries = [] }: Bindings = {}, exists = true) {
  const sent: string[] = []
  const query = async (text: string) => {
    sent.push(text)
    if (text.includes('as entries')) return { rows: [{ entries: null, schema: 'public' }] }
    if (text.includes('is not null as exists')) return { rows: [{ exists }] }
    if (text.includes('bound_tables')) return { rows: tables.map((announce) => ({ key: 'a', announce })) }
    if (text.includes('bound_queries')) return { rows: queries.map((key) => ({ key, query: 'select 1' })) }
    return { rows: [] }
  }
  return { isUsed: await isOutboxUsed({ query } as unknown as pg.Client), sent }
}

interface Bindings {
  /** The way in which changes are announced, for each table. */
  readonly tables?: readonly string[]
  /** Keys of the bound queries. */
  readonly queries?: readonly string[]
}

t.test('the outbox is used by queries, and by tables that are not announced at once', async (t) => {
  const isUsed = async (bindings: Bindings) => (await look(bindings)).isUsed
  t.equal(await isUsed({}), false)
  t.equal(await isUsed({ tables: ['notify'] }), false)
  t.equal(await isUsed({ tables: ['notify', 'outbox'] }), true)
  t.equal(await isUsed({ queries: ['a'] }), true)
})

t.test(
  'before the migration, no statement fails, and later a failure is that of another check',
  async (t) => {
    const { isUsed, sent } = await look({ tables: ['outbox'] }, false)
    t.equal(isUsed, false)
    t.match(sent.at(-2), 'is not null as exists')
    const query = async () => {
      throw new Error('the connection is lost')
    }
    t.equal(await isOutboxUsed({ query } as unknown as pg.Client), false)
  },
)
