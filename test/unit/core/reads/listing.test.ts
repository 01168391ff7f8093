import t from 'tap'
import type { Absent, StoredEntry, Withheld } from '../../../../src/core/entry.js'
import type { ListedRows } from '../../../../src/core/ports.js'
import { Listing } from '../../../../src/core/reads/listing.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { Gate } from '../../../support/gate.js'
import { turn } from '../../../support/turn.js'

const maxWaitMs = 2_000
const request = { prefix: '', after: '', limit: 10, withValues: true }

function stored(key: string, value: string, version = '1'): StoredEntry {
  return {
    key,
    version,
    epoch: '1-1',
    value: JSON.stringify(value),
    remainingMs: undefined,
    isComparable: true,
  }
}

/** A listing over these sizes by key, with the answers of the store to reads of their values. */
function listingOf(
  sizes: Readonly<Record<string, number>>,
  answers: Readonly<Record<string, StoredEntry | Withheld | Absent>> = {},
) {
  const clock = new DrivenClock()
  const gate = new Gate()
  let asked = 0
  const reads: string[][] = []
  const rows = Object.entries(sizes).map(([key, bytes]) => ({
    key,
    version: '1',
    bytes,
    remainingMs: undefined,
    groups: [],
  }))
  const list = {
    rows: async (): Promise<ListedRows> => ({ rows, next: 'the end' }),
    count: async () => {
      asked++
      await gate.pass()
      return asked
    },
  }
  const store = {
    read: async (wanted: readonly { key: string }[]) => {
      reads.push(wanted.map(({ key }) => key))
      return new Map(Object.entries(answers))
    },
  }
  const options = { maxPageBytes: 10, maxWaitMs }
  const memory = new Gate()
  memory.open()
  const parts = { memory }
  const withValueSlot = <T>(read: () => Promise<T>) => parts.memory.pass().then(read)
  const listing = new Listing(options, { list, store, clock, withValueSlot })
  return { listing, clock, gate, reads, asked: () => asked, parts }
}

const summary = ({ rows, next }: Awaited<ReturnType<Listing['page']>>) => ({
  entries: rows.map(({ key, bytes, value }) => [key, bytes, value]),
  next,
})

t.test('a page ends before the values take more than the bound', async (t) => {
  const { listing, reads } = listingOf(
    { a: 4, b: 6, c: 1 },
    { a: stored('a', 'aaaa'), b: stored('b', 'bbbbbb') },
  )
  const page = summary(await listing.page(request))
  t.strictSame(page, {
    entries: [
      ['a', 4, '"aaaa"'],
      ['b', 6, '"bbbbbb"'],
    ],
    next: 'b',
  })
  t.strictSame(reads, [['a', 'b']])
})

t.test('a value that is too large is not read, and does not end the page', async (t) => {
  const { listing, reads } = listingOf({ a: 11, b: 10 }, { b: stored('b', 'bbbbbbbbbb') })
  const { entries, next } = summary(await listing.page(request))
  t.strictSame(entries, [
    ['a', 11, undefined],
    ['b', 10, '"bbbbbbbbbb"'],
  ])
  t.equal(next, 'the end')
  t.strictSame(reads, [['b']])
  const alone = listingOf({ a: 11 })
  t.strictSame(summary(await alone.listing.page(request)).entries, [['a', 11, undefined]])
  t.strictSame(alone.reads, [], 'nothing is read')
})

t.test('an entry that changes after it was listed', async (t) => {
  const absent: Absent = { version: undefined, epoch: '1-1' }
  const withheld: Withheld = { key: 'c', version: '2', epoch: '1-1', value: undefined, withheld: 'postponed' }
  const { listing } = listingOf({ a: 1, b: 1, c: 1 }, { a: stored('a', 'é!', '2'), b: absent, c: withheld })
  t.strictSame(
    summary(await listing.page(request)).entries,
    [
      ['a', 3, '"é!"'],
      ['c', 1, undefined],
    ],
    'the new value with its size; no deleted entry; no value that has grown',
  )
})

t.test(
  'an entry that changes after it was listed has the members of the new one, and its groups',
  async (t) => {
    const mediaType = 'application/json; charset=utf-8'
    const { listing } = listingOf({ a: 1 }, { a: { ...stored('a', 'x', '2'), mediaType, remainingMs: 500 } })
    const { rows } = await listing.page(request)
    const changed = { key: 'a', version: '2', bytes: 3, remainingMs: 500, value: '"x"', mediaType }
    t.strictSame(rows, [{ ...changed, groups: [] }], 'a text whose type is JSON is stored with its quotes')
  },
)

t.test('values are read once memory is reserved for them', async (t) => {
  const { listing, reads, parts } = listingOf({ a: 1 }, { a: stored('a', 'x') })
  parts.memory = new Gate()
  const listed = listing.page(request)
  await parts.memory.reached
  await turn()
  t.strictSame(reads, [])
  parts.memory.open()
  await listed
  t.strictSame(reads, [['a']])
})

t.test('without values the store is not read', async (t) => {
  const { listing, reads } = listingOf({ a: 20, b: 1 })
  t.strictSame(summary(await listing.page({ ...request, withValues: false })).entries.length, 2)
  t.strictSame(reads, [])
})

t.test('one request is served at a time, and few wait', async (t) => {
  const { listing, clock, gate, asked } = listingOf({})
  const counts = Array.from({ length: 3 }, () => listing.count(''))
  await gate.reached
  await turn()
  t.equal(asked(), 1)
  t.equal(listing.isCrowded, false)
  const others = Array.from({ length: 14 }, () => listing.count(''))
  t.equal(listing.isCrowded, true, '16 wait')
  clock.advance(maxWaitMs)
  gate.open()
  t.strictSame(
    await Promise.all([...counts, ...others]),
    Array.from({ length: 17 }, (_, index) => index + 1),
  )
  t.equal(listing.isCrowded, false)
})

t.test('a request whose turn comes too late fails', async (t) => {
  const { listing, clock, gate, asked } = listingOf({})
  const [first, late] = [listing.count(''), listing.count('')]
  await gate.reached
  clock.advance(maxWaitMs + 1)
  const failing = t.rejects(late, { code: 'store-busy' })
  gate.open()
  t.equal(await first, 1)
  await failing
  t.equal(asked(), 1)
  t.equal(await listing.count(''), 2, 'the next one has its turn')
})
