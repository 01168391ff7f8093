import t from 'tap'
import { BindingReads } from '../../../../src/core/bindings/binding-reads.js'
import { noBindings } from '../../../../src/core/bindings/bindings.js'
import type { StoredEntry } from '../../../../src/core/entry.js'
import { HeldEntries } from '../../../../src/core/state/held-entries.js'
import { TtlPolicy } from '../../../../src/core/state/ttl-policy.js'
import { Stats } from '../../../../src/core/stats.js'
import { DrivenClock } from '../../../support/driven-clock.js'

const [epoch, startMs] = ['1-00000001', 1_000_000]
const stored: StoredEntry = {
  ...{ key: 'é', value: '"ü"', mediaType: undefined, version: '7', epoch },
  ...{ isComparable: true, remainingMs: undefined },
}

function ttl(ttlMs: number, ttlMode: 'fixed' | 'sliding' = 'fixed') {
  return new TtlPolicy({ ttlMs, ttlRules: [], ttlJitter: 0, ttlMode })
}

function holding(policy = ttl(10_000), capacity = 2) {
  const [clock, stats] = [new DrivenClock(startMs), new Stats()]
  const entries = new HeldEntries(
    { capacity, maxBytes: undefined },
    { ttl: policy, bindingReads: new BindingReads(noBindings), clock, stats },
  )
  return { clock, stats, entries }
}

t.test('an entry is held with the moments that bound it', async (t) => {
  const { entries } = holding()
  entries.put('id', stored, epoch, startMs - 100)
  t.match(entries.peek('id'), {
    ...{
      key: 'é',
      value: '"ü"',
      mediaType: undefined,
      version: '7',
      epoch,
      isComparable: true,
      viaOutbox: false,
    },
    ...{
      asOfMs: startMs - 100,
      expiresAtMs: startMs + 10_000,
      rowExpiresAtMs: Number.POSITIVE_INFINITY,
      bytes: 6,
    },
  })
  entries.put('id', { ...stored, remainingMs: 500, viaOutbox: true }, epoch, startMs - 100, startMs - 900)
  t.match(entries.peek('id'), {
    ...{ viaOutbox: true, asOfMs: startMs - 900, expiresAtMs: startMs + 400, rowExpiresAtMs: startMs + 400 },
  })
  t.strictSame([entries.size, entries.bytes, entries.ids()], [1, 8, ['id']], 'two bytes for each character')
})

t.test('an entry is hit within its time to live, and held beyond it', async (t) => {
  const { clock, entries } = holding()
  entries.put('id', stored, epoch, startMs)
  clock.advance(9_999)
  for (const find of ['hit', 'usable'] as const) t.ok(entries[find]('id', clock.now()), find)
  clock.advance(1)
  for (const find of ['hit', 'usable'] as const) t.notOk(entries[find]('id', clock.now()), find)
  t.ok(entries.held('id'))
  t.ok(entries.peek('id'))
  t.strictSame(await entries.keys(), ['é'])
})

t.test('a hit extends a sliding time to live, up to that of the row', async (t) => {
  const { entries } = holding(ttl(10_000, 'sliding'))
  entries.put('id', stored, epoch, startMs)
  entries.put('row', { ...stored, remainingMs: 12_000 }, epoch, startMs)
  const atMs = startMs + 5_000
  t.equal(entries.hit('id', atMs)?.expiresAtMs, startMs + 15_000)
  t.equal(entries.hit('id', atMs - 1_000)?.expiresAtMs, startMs + 15_000, 'and never shortens it')
  t.equal(entries.hit('row', atMs)?.expiresAtMs, startMs + 12_000)
  const fixed = holding()
  fixed.entries.put('id', stored, epoch, startMs)
  t.equal(fixed.entries.hit('id', atMs)?.expiresAtMs, startMs + 10_000)
})

t.test('the least recently used entry makes room', async (t) => {
  const { entries, stats } = holding()
  for (const id of ['a', 'b']) entries.put(id, { ...stored, key: id }, epoch, startMs)
  entries.peek('a')
  entries.held('a')
  entries.put('c', { ...stored, key: 'c' }, epoch, startMs)
  t.notOk(entries.peek('b'))
  t.equal(stats.evictions, 1)
  t.equal(entries.drop('a'), true)
  t.equal(entries.drop('a'), false)
  entries.dropWhere(({ key }) => key === 'c')
  t.equal(entries.size, 0)
  entries.put('d', stored, epoch, startMs)
  entries.clear()
  t.equal(entries.size, 0)
})

t.test('new bounds apply at once, and so does a shorter time to live', async (t) => {
  const { clock, entries } = holding()
  for (const id of ['a', 'b']) entries.put(id, { ...stored, key: id }, epoch, startMs)
  clock.advance(1_000)
  entries.reconfigure({ capacity: 2, maxBytes: undefined }, ttl(60_000))
  t.equal(entries.peek('a')?.expiresAtMs, startMs + 10_000, 'a longer one from the next fill')
  entries.reconfigure({ capacity: 1, maxBytes: undefined }, ttl(2_000))
  t.strictSame(entries.ids(), ['b'])
  t.equal(entries.peek('b')?.expiresAtMs, startMs + 3_000)
  entries.put('b', { ...stored, key: 'b' }, epoch, startMs)
  t.equal(entries.peek('b')?.expiresAtMs, startMs + 3_000)
  entries.reconfigure({ capacity: 1, maxBytes: 1 }, ttl(2_000))
  t.equal(entries.size, 0)
})
