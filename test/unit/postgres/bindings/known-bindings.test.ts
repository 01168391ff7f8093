import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import type { BoundTable } from '../../../../src/postgres/bindings/bound-source.js'
import { KnownBindings } from '../../../../src/postgres/bindings/known-bindings.js'
import { inspectedBindings } from '../../../../src/postgres/feed/prober.js'
import type { SchemaName } from '../../../../src/postgres/schema/schema-name.js'
import type { CacheTable, Query } from '../../../../src/postgres/schema/table-inspection.js'
import { recordingLog } from '../../../support/recording-log.js'

const table = (text: string, says?: string): BoundTable => ({
  pattern: new KeyPattern(text),
  fingerprint: 'f',
  table: 'public.item',
  keyColumns: [{ name: 'id', type: 'integer' }],
  columnTypes: ['integer'],
  viaOutbox: false,
  columns: undefined,
  fault: says === undefined ? undefined : { says, cure: 'a cure', shown: 'a fault' },
})

/** Bindings with a driven clock, and a database that has this digest and no bindings. */
function known() {
  const { log, logged } = recordingLog()
  const state = { nowMs: 0, digest: 'one', statements: 0, inspections: 0 }
  const read = async (text: string) => {
    if (text === 'set local jit = off') state.inspections++
    else state.statements++
    return [{ digest: state.digest, tables: [], queries: [] }]
  }
  const bindings = new KnownBindings(
    { maxStalenessMs: 3_000 },
    {
      clock: { now: () => state.nowMs },
      schema: {
        get: async () => 'public',
        explain: (error: unknown) => Promise.reject(error),
      } as unknown as SchemaName,
      database: { read: read as never, snapshot: (run) => run(read as never) },
      log,
    },
  )
  return { bindings, state, logged }
}

t.test('the bindings are current for as long as the bound on staleness', async (t) => {
  const { bindings, state } = known()
  t.equal(bindings.current, undefined, 'before the first contact')
  t.same(bindings.sources, [])
  bindings.found({ digest: 'one', sources: [table('a:{id}')] }, 0)
  state.nowMs = 3_000
  t.equal(bindings.current?.length, 1)
  t.equal(bindings.of('a:1')?.pattern.text, 'a:{id}')
  t.equal(bindings.of('b:1'), undefined)
  state.nowMs = 3_001
  t.equal(bindings.current, undefined)
  t.equal(bindings.sources.length, 1, 'they are the last that are known')
  bindings.proven(1_000)
  t.equal(bindings.current?.length, 1)
})

t.test(
  'whoever asks is answered by a digest if nothing has changed, and else by an inspection',
  async (t) => {
    const { bindings, state } = known()
    t.same(await bindings.ask(), [])
    t.equal(state.statements, 1, 'an inspection')
    bindings.found({ digest: 'one', sources: [table('a:{id}')] }, 0)
    t.equal((await bindings.ask()).length, 1)
    t.equal(state.statements, 2, 'a digest')
    state.digest = 'two'
    t.same(await bindings.ask(), [])
    t.equal(state.statements, 4, 'a digest, and an inspection')
    t.equal(state.inspections, 2, 'none of which is compiled')
  },
)

t.test('a fault is logged when it is new', async (t) => {
  const { bindings, logged } = known()
  const warnings = () => logged.filter(({ message }) => /binding cannot be used/.test(message)).length
  bindings.found({ digest: 'one', sources: [table('a:{id}', 'it is gone')] }, 0)
  t.equal(warnings(), 1)
  t.strictSame(logged[0]?.fields, { pattern: 'a:{id}', reason: 'it is gone', cure: 'a cure' })
  bindings.found({ digest: 'one', sources: [table('a:{id}', 'it is gone')] }, 0)
  t.equal(warnings(), 1)
  bindings.found({ digest: 'one', sources: [table('a:{id}', 'it is another')] }, 0)
  t.equal(warnings(), 2)
})

t.test('bindings are counted by whether they can be used', async (t) => {
  const { bindings } = known()
  t.strictSame(bindings.counts, { usable: 0, unusable: [] })
  bindings.found(
    { digest: 'one', sources: [table('a:{id}'), table('b:{id}', 'it is gone'), table('c:{id}')] },
    0,
  )
  t.strictSame(bindings.counts, { usable: 2, unusable: [{ pattern: 'b:{id}', reason: 'a fault' }] })
})

t.test('a statement that finds another table asks for an inspection', async (t) => {
  const { bindings } = known()
  let asked = 0
  bindings.outdated()
  bindings.onOutdated(() => asked++)
  bindings.outdated()
  t.equal(asked, 1)
})

t.test('nothing is compiled for an inspection, which takes less time than that', async (t) => {
  const sent: string[] = []
  const query = (async (sql: string) => {
    sent.push(sql)
    return [{ digest: 'one', tables: [], queries: [], prepared: '' }]
  }) as unknown as Query
  await inspectedBindings(query, { schema: 'public' } as CacheTable, { now: () => 0 })
  t.equal(sent[0], 'set jit = off')
  t.ok(sent.length > 1)
})
