/** P9: what this sidecar knows of the row of a pending write. */
import t from 'tap'
import type { Entry } from '../../../../src/core/entry.js'
import { DatabasePosition } from '../../../../src/core/state/database-position.js'
import { FollowedSession } from '../../../../src/core/state/followed-session.js'
import { KnownVersions } from '../../../../src/core/state/known-versions.js'
import { DrivenClock } from '../../../support/driven-clock.js'

const epoch = '1-00000001'
const never = Number.POSITIVE_INFINITY
const entry = {
  key: 'k',
  value: '1',
  version: '7',
  epoch,
  isComparable: true,
  rowExpiresAtMs: never,
} as Entry

/** Versions as they are known in a history whose last mark is `m`. */
function known() {
  const clock = new DrivenClock()
  const position = new DatabasePosition()
  position.observe({ epoch, latest: 5n }, -1n)
  position.marked('m', 5n)
  const versions = new KnownVersions({ clock, position, session: new FollowedSession() })
  versions.tableSeen('f')
  const write = (id: string, version: string, expiresAtMs?: number) =>
    versions.written(id, { version, epoch, expiresAtMs }, clock.now())
  const baseOf = (id: string) => versions.baseOf(id, undefined)
  return { clock, position, versions, write, baseOf }
}

const unseen = { kind: 'unseen', mark: 'm' } as const
const written = {
  kind: 'held',
  version: '8',
  value: undefined,
  fingerprint: 'f',
  expiresAtMs: undefined,
} as const

t.test('an entry that is held is the base, with its value if that can be compared', async (t) => {
  const { versions, write } = known()
  write('k', '8')
  const base = { kind: 'held', version: '7', value: '1', mediaType: undefined, fingerprint: 'f' } as const
  t.strictSame(versions.baseOf('k', entry), { ...base, expiresAtMs: undefined })
  t.strictSame(versions.baseOf('k', { ...entry, isComparable: false }), {
    ...base,
    value: undefined,
    expiresAtMs: undefined,
  })
  t.strictSame(versions.baseOf('k', { ...entry, rowExpiresAtMs: 900 }), { ...base, expiresAtMs: 900 })
})

t.test('the last write of this sidecar is the base of a key that is not held', async (t) => {
  const { write, baseOf } = known()
  t.strictSame(baseOf('k'), unseen)
  write('k', '8')
  t.strictSame(baseOf('k'), written)
  t.strictSame(baseOf('other'), unseen)
  write('k', '9', 900)
  t.strictSame(baseOf('k'), { ...written, version: '9', expiresAtMs: 900 })
  write('k', '-9')
  t.strictSame(baseOf('k'), unseen, 'after a delete, there must be no row')
})

t.test('after a later change of the key, or one that is not known, the mark decides again', async (t) => {
  for (const [version, isBase] of [
    ['7', true],
    ['8', true],
    ['-8', true],
    ['9', false],
    ['-9', false],
    [undefined, false],
  ] as const) {
    const { versions, write, baseOf } = known()
    write('k', '8')
    versions.changed('k', version)
    t.strictSame(baseOf('k'), isBase ? written : unseen, String(version))
  }
})

t.test('the mark also decides for another table, in another history and after too many writes', async (t) => {
  const rewritten = known()
  rewritten.write('k', '8')
  rewritten.versions.tableSeen('f')
  t.strictSame(rewritten.baseOf('k'), written, 'the same table')
  rewritten.versions.tableSeen('g')
  t.strictSame(rewritten.baseOf('k'), unseen)

  const restored = known()
  restored.write('k', '8')
  restored.position.observe({ epoch: '2-00000002', latest: 5n }, -1n)
  t.strictSame(restored.baseOf('k'), { kind: 'unseen', mark: undefined })

  const busy = known()
  busy.write('k', '8')
  for (let count = 1; count < 10_000; count++) busy.write(`k${count}`, String(count + 10))
  t.strictSame(busy.baseOf('k'), written, '10,000 writes are remembered')
  busy.write('one more', '20000')
  t.strictSame(busy.baseOf('k'), unseen)
  t.match(busy.baseOf('one more'), { version: '20000' })
})

t.test('a mark covers the writes that were acknowledged 6 seconds before it was asked for', async (t) => {
  const { clock, versions, write, baseOf } = known()
  write('covered', '8')
  clock.advance(1)
  write('k', '8')
  clock.advance(6_000)
  const askedMs = clock.now()
  clock.advance(60_000)
  versions.marked('m2', 9n, askedMs)
  t.strictSame(baseOf('k'), written)
  t.strictSame(baseOf('covered'), { kind: 'unseen', mark: 'm2' })
})
