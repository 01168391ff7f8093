import t from 'tap'
import { ChangeLog } from '../../../../src/core/changes/change-log.js'
import type { Version } from '../../../../src/core/entry.js'
import { keyHash } from '../../../../src/core/state/key-hash.js'
import { ChangeTail } from '../../../../src/http/ops/page/change-tail.js'

/** The sidecar of these tests has made the changes with this version, and has a binding. */
const isOwn = (version: Version) => version === '8'
const isBound = (key: string) => key.startsWith('product:')

const tailOf = (changeLog: ChangeLog, keys: 'on' | 'hash' = 'on') =>
  new ChangeTail({ changeLog, keys, isOwn, isBound })

t.test('new changes have their time, what they did, and who made them', async (t) => {
  const log = new ChangeLog()
  log.changed('before', '7')
  const tail = tailOf(log)
  log.changed('a', '8')
  log.changed('b', '-9')
  log.changed('product:1', '1')
  log.changed('user:1', '1')
  const rows = [
    { atMs: 5, operation: 'set', origin: 'here', key: 'a' },
    { atMs: 5, operation: 'delete', origin: 'elsewhere', key: 'b' },
    { atMs: 5, operation: 'row', origin: 'sql', key: 'product:1' },
    { atMs: 5, operation: 'drop', key: 'user:1' },
  ]
  t.strictSame(tail.advance(5), { rows, skipped: 0 })
  t.strictSame(tail.advance(6), { rows: [], skipped: 0 }, 'each is new once')
  t.strictSame(tail.rows, rows)
})

t.test('a gap is shown, with the changes after it; the first one is the start', async (t) => {
  const log = new ChangeLog()
  const tail = tailOf(log)
  log.gap()
  t.strictSame(tail.advance(1), { rows: [], skipped: 0 })
  log.changed('lost before anything was shown', '1')
  log.gap()
  t.strictSame(tail.advance(2), { rows: [{ atMs: 2, operation: 'gap' }], skipped: 0 })
  log.changed('a', '2')
  t.match(tail.advance(2).rows, [{ operation: 'set', key: 'a' }])
  log.changed('lost', '3')
  log.gap()
  log.changed('b', '4')
  t.strictSame(tail.advance(3), {
    rows: [
      { atMs: 3, operation: 'gap' },
      { atMs: 3, operation: 'set', origin: 'elsewhere', key: 'b' },
    ],
    skipped: 0,
  })
})

t.test('after a gap, the changes since are shown, and no more than 200 of them', async (t) => {
  for (const [changes, first, length] of [
    [199, 'k1', 200],
    [200, 'k1', 201],
    [201, 'k2', 201],
  ] as const) {
    const log = new ChangeLog()
    log.gap()
    const tail = tailOf(log)
    log.changed('lost', '5')
    log.gap()
    for (let number = 1; number <= changes; number++) log.changed(`k${number}`, '5')
    const { rows } = tail.advance(1)
    t.strictSame([rows[0]?.operation, rows[1]?.key, rows.length], ['gap', first, length])
  }
})

t.test('the last 200 are kept, and it is said how many are left out', async (t) => {
  const log = new ChangeLog()
  const tail = tailOf(log)
  for (let number = 1; number <= 10_000; number++) log.changed(`k${number}`, '5')
  const { rows, skipped } = tail.advance(1)
  t.equal(rows.length, 200)
  t.equal(rows.at(-1)?.key, 'k10000')
  t.equal(skipped, 9_800)
  log.changed('one more', '6')
  tail.advance(2)
  t.equal(tail.rows.length, 200)
  t.strictSame([tail.rows[0]?.key, tail.rows.at(-1)?.key], ['k9802', 'one more'])
})

t.test('keys can be hashed, and long ones always are', async (t) => {
  const log = new ChangeLog()
  const [plain, hashed] = [tailOf(log), tailOf(log, 'hash')]
  const long = keyHash('long')
  log.changed('user:1', '2')
  log.changed(`\0${long}`, '3')
  log.changed(`\0${long}`, '1')
  const ofLong = {
    atMs: 1,
    operation: 'set',
    origin: 'elsewhere',
    key: long.slice(0, 16),
    isHash: true,
  } as const
  // It may be a key of a binding: without the key, nobody knows.
  const ofLongRow = { ...ofLong, operation: 'row', origin: 'sql' } as const
  t.strictSame(plain.advance(1).rows, [
    { atMs: 1, operation: 'set', origin: 'elsewhere', key: 'user:1' },
    ofLong,
    ofLongRow,
  ])
  t.strictSame(hashed.advance(1).rows, [
    { atMs: 1, operation: 'set', origin: 'elsewhere', key: keyHash('user:1').slice(0, 16), isHash: true },
    ofLong,
    ofLongRow,
  ])
})
