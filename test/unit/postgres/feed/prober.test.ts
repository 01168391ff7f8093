import { createHash } from 'node:crypto'
import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import type { BoundSource } from '../../../../src/postgres/bindings/bound-source.js'
import { type Inspected, Prober, type ProberParts } from '../../../../src/postgres/feed/prober.js'
import { databaseError } from '../../../support/database-error.js'
import { turn } from '../../../support/turn.js'

const proof = { epoch: 'e', latest: '7', fingerprint: 'f', bindings: 'one', prepared: '', database_ms: 5 }
const inspected = {
  table: { schema: 'public', channel: 'changes', fingerprint: 'f' },
  bindings: { digest: 'one', sources: [] },
  bindingsSentMs: 0,
  prepared: '',
} as unknown as Inspected

/** A prober whose session answers probes with these rows. Its clock stands still after the first reading. */
function proberOf({
  probed = [proof],
  firstMs = 0,
}: {
  probed?: readonly object[] | Error
  firstMs?: number
} = {}) {
  const told: string[] = []
  const drained: unknown[] = []
  let readings = 0
  const prober = new Prober({ maxStalenessMs: 3_000 }, {
    clock: { now: () => (readings++ === 0 ? firstMs : 0) },
    handler: {
      rest: () => void told.push('rest'),
      proven: () => void told.push('proven'),
      bound: () => void told.push('bound'),
      changed: () => undefined,
    },
    session: {
      channel: 'changes',
      query: async () => {
        if (probed instanceof Error) throw probed
        return probed
      },
      receivesAny: async () => true,
      received: async () => undefined,
      forget: () => undefined,
    },
    database: { read: async () => [] },
    drainer: {
      drain: async () => undefined,
      last: undefined,
      drainFor: (table: unknown) => drained.push(table),
    },
    bindings: { found: () => told.push('found'), proven: () => told.push('bindings proven') },
    onTable: () => told.push('table'),
    end: (reason: unknown) => told.push(`end: ${reason}`),
  } as unknown as ProberParts)
  return { prober, told, drained }
}

t.test('a session that ends does not wait for its next probe', async (t) => {
  // The first reading says when the last probe was sent: the next one is due in a week.
  const { prober, told } = proberOf({ firstMs: 600_000_000 })
  const over = new AbortController()
  let failure: unknown
  prober.prove(inspected, over.signal).catch((error: unknown) => {
    failure = error
  })
  await turn()
  over.abort(new Error('closed'))
  await turn()
  t.match(failure, { name: 'AbortError' })
  t.strictSame(told, [], 'and asks nobody')
})

t.test('a session that is over already is not probed', async (t) => {
  const { prober, told } = proberOf()
  await t.rejects(prober.prove(inspected, AbortSignal.abort(new Error('closed'))), { name: 'AbortError' })
  t.strictSame(told, [])
})

t.test('a probe that returns no row ends the session', async (t) => {
  const { prober, told } = proberOf({ probed: [], firstMs: -60_000 })
  await t.rejects(prober.prove(inspected, new AbortController().signal), {
    message: 'the probe returned no row',
  })
  t.strictSame(told, ['rest'])
})

t.test('a session that has lost its prepared probe has lost its LISTEN too', async (t) => {
  for (const [error, message] of [
    [databaseError('26000'), /^connected, but notifications do not arrive/],
    [databaseError('42P01'), /^message$/],
  ] as const)
    await t.rejects(proberOf({ probed: error, firstMs: -60_000 }).prober.roundTrip(), { message })
})

t.test('while the handler rests, nothing is sent', async (t) => {
  const needed = Promise.resolve()
  const { prober } = proberOf({ probed: new Error('a probe was sent'), firstMs: -60_000 })
  const resting = new Prober({ maxStalenessMs: 3_000 }, {
    clock: { now: () => 0 },
    handler: { rest: () => needed },
    session: {},
    drainer: {},
  } as unknown as ProberParts)
  resting.hurry()
  t.equal((await resting.prove(inspected, new AbortController().signal)).needed, needed)
  await t.rejects(prober.prove(inspected, new AbortController().signal), { message: 'a probe was sent' })
})

t.test('a mapping belongs to the binding whose pattern its name has, once that is found', async (t) => {
  const source = (text: string, more: object = {}) =>
    ({ pattern: new KeyPattern(text), viaOutbox: false, ...more }) as unknown as BoundSource
  const { prober, told, drained } = proberOf()
  const name = `cache_map_${createHash('md5').update('a:{id}').digest('hex').slice(0, 12)}_3`
  t.equal(prober.patternOf(name), undefined)
  const found = (...sources: BoundSource[]) =>
    prober.found({ ...inspected, bindings: { digest: 'one', sources } })
  found(source('b:{id}'), source('a:{id}'))
  t.equal(prober.patternOf(name)?.text, 'a:{id}')
  t.equal(prober.patternOf(name.replace('_3', '')), undefined)
  t.strictSame(told, ['table', 'found', 'bound'])
  found(source('a:{id}', { viaOutbox: true }))
  found(source('a:{id}', { viaOutbox: true, query: 'public.f' }))
  t.strictSame(drained, [
    undefined,
    { ...inspected.table, hasMappings: false },
    { ...inspected.table, hasMappings: true },
  ])
})
