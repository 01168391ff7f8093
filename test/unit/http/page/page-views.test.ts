import t from 'tap'
import { CacheError } from '../../../../src/core/errors.js'
import type { ListedEntry, PageRequest } from '../../../../src/core/reads/listing.js'
import { type KeysSources, keysView } from '../../../../src/http/ops/page/views/keys-view.js'
import { LastInspection } from '../../../../src/http/ops/page/views/last-inspection.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { Gate } from '../../../support/gate.js'

const rowOf = (more: object) =>
  ({ key: 'k', version: '7', bytes: 3, groups: ['g'], remainingMs: undefined, ...more }) as ListedEntry

function keysOf(
  rows: readonly ListedEntry[],
  { next, ...more }: Partial<KeysSources> & { next?: string } = {},
) {
  const asked: PageRequest[] = []
  const sources: KeysSources = {
    listing: {
      isCrowded: false,
      page: async (request) => {
        asked.push(request)
        return { rows, next }
      },
    },
    isHeld: (key) => key === 'held',
    keys: 'on',
    hasValues: false,
    ...more,
  }
  return { asked, view: (query = '') => keysView(sources, query) }
}

t.test('a page of keys has 50 of them, and asks for values only if they are shown', async (t) => {
  const { asked, view } = keysOf([])
  t.strictSame(await view('prefix=user%3A&after=user%3A1&limit=3&values=true'), {
    entries: [],
    hasValues: false,
  })
  t.strictSame(asked, [{ prefix: 'user:', after: 'user:1', limit: 50, withValues: false }])
  const withValues = keysOf([], { hasValues: true, next: 'n' })
  t.strictSame(await withValues.view(), { entries: [], hasValues: true, next: 'n' })
  t.match(withValues.asked, [{ prefix: '', after: '', withValues: true }])
})

t.test('a key has all that is known of its entry, and the beginning of its value', async (t) => {
  const { view } = keysOf([
    rowOf({ key: 'held', remainingMs: 1_999 }),
    rowOf({ value: 'x'.repeat(1_000) }),
    rowOf({ value: 'x'.repeat(1_001) }),
  ])
  const common = { version: '7', bytes: 3, groups: ['g'] }
  const { entries } = await view()
  t.match(entries[0], { ...common, key: 'held', isHeld: true, expiresInSeconds: Number, value: undefined })
  t.strictSame(entries.slice(1), [
    { ...common, key: 'k', isHeld: false, expiresInSeconds: null, value: 'x'.repeat(1_000) },
    { ...common, key: 'k', isHeld: false, expiresInSeconds: null, value: `${'x'.repeat(1_000)}…` },
  ])
})

t.test('keys that are hashed are not listed', async (t) => {
  const { asked, view } = keysOf([], { keys: 'hash' })
  await t.rejects(view(), { status: 422, message: 'CACHE_UI_KEYS=hash: keys are not shown' })
  t.strictSame(asked, [])
})

t.test('a list that finds no connection, or takes too long, is told from other errors', async (t) => {
  const failing = (error: Error) =>
    keysOf([], { listing: { isCrowded: false, page: () => Promise.reject(error) } }).view()
  const crowded = keysOf([], { listing: { isCrowded: true, page: () => t.fail() as never } })
  await t.rejects(crowded.view(), { status: 503, kind: 'too-many-lists', message: /try again/ })
  await t.rejects(failing(new CacheError('store-busy', 'm')), {
    status: 503,
    kind: 'slow-list',
    message: 'The database did not list the keys in time',
  })
  const other = new CacheError('forbidden', 'm')
  await t.rejects(failing(other), other)
})

const finding = { check: 'server', level: 'ok', says: 'PostgreSQL' } as const

t.test('an inspection is shown for ten seconds, from its end', async (t) => {
  const clock = new DrivenClock()
  let inspections = 0
  let gate = new Gate()
  const inspection = new LastInspection(async () => {
    inspections++
    await gate.pass()
    return [finding]
  }, clock)
  const first = inspection.get()
  clock.advance(60_000)
  const second = inspection.get()
  gate.open()
  t.match(await Promise.all([first, second]), [
    { atMs: Number, findings: [finding] },
    { findings: [finding] },
  ])
  t.equal(inspections, 1, 'one at a time, however long it takes')
  clock.advance(10_000)
  await inspection.get()
  t.equal(inspections, 1)
  clock.advance(1)
  gate = new Gate()
  const both = [inspection.get(), inspection.get()]
  gate.open()
  await Promise.all(both)
  t.equal(inspections, 2)
})

t.test('an inspection that fails is not tried again at once', async (t) => {
  const clock = new DrivenClock()
  let inspections = 0
  const failure = new Error('a mistake of ours')
  const inspection = new LastInspection(() => {
    inspections++
    return Promise.reject(failure)
  }, clock)
  for (let count = 0; count < 2; count++) await t.rejects(inspection.get(), failure)
  t.equal(inspections, 1)
  clock.advance(10_001)
  await t.rejects(inspection.get(), failure)
  t.equal(inspections, 2)
})
