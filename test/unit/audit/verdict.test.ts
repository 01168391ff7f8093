import t from 'tap'
import { type Asked, digestOf, type ReadOutcome } from '../../../src/tools/audit/answer.js'
import { boundMs } from '../../../src/tools/audit/checkpoints.js'
import type { Row } from '../../../src/tools/audit/primary.js'
import { type Announced, type Evidence, judge } from '../../../src/tools/audit/verdict.js'
import { violationsAmong } from '../../../src/tools/audit/violation.js'

const a = 'http://a'
const b = 'http://b'

const fresh = (value: unknown): ReadOutcome => ({ kind: 'value', digest: digestOf(JSON.stringify(value)) })
const absent: ReadOutcome = { kind: 'absent' }
const nothing: ReadOutcome = { kind: 'nothing' }
const stale: ReadOutcome = { kind: 'stale' }
const none: ReadOutcome = { kind: 'none', reason: 'connection refused' }
const row = (version: string, value: unknown, expired = false): Row => ({
  version,
  digest: digestOf(JSON.stringify(value)),
  expired,
})
const announced = (version: string, known?: Row): Announced => ({ key: 'k', version, row: known })
const from = (...answers: ReadOutcome[]): Asked[] =>
  answers.map((answer, index) => ({ sidecar: [a, b][index] ?? 'http://c', sentMs: 0, answer }))

/** The primary holds `rows` in turn, the last one for good; what is asked for is written down. */
function evidence(...rows: (Row | undefined)[]) {
  const calls: string[] = []
  let overtaken = false
  const parts: Evidence = {
    readPrimary: async () => {
      calls.push('read')
      return rows.length > 1 ? rows.shift() : rows[0]
    },
    caughtUp: async () => {
      calls.push('catch up')
    },
    isOvertaken: () => overtaken,
  }
  return {
    calls,
    parts,
    overtake: () => {
      overtaken = true
    },
  }
}

t.test('some answers need no read of the primary', async (t) => {
  const cases: [string, string, ReadOutcome[], object][] = [
    ['nothing is held', '7', [nothing, nothing], { kind: 'consistent', held: false }],
    ['what is held is marked stale', '7', [stale, nothing], { kind: 'consistent', held: false }],
    ['one sidecar does not answer', '7', [none, nothing], { kind: 'consistent', held: false }],
    ['none does', '7', [none, none], { kind: 'undecided', why: 'no answer' }],
    ['it is gone, as announced', '-7', [absent, nothing], { kind: 'consistent', held: true }],
  ]
  for (const [name, version, answers, expected] of cases) {
    const { calls, parts } = evidence(row('8', 'other'))
    t.strictSame((await judge(announced(version), from(...answers), parts)).verdict, expected, name)
    t.strictSame(calls, [], name)
  }
})

t.test(
  'a value is compared with what the primary holds under the announced version, read once',
  async (t) => {
    const { calls, parts } = evidence(row('7', { new: true }))
    const first = await judge(announced('7'), from(fresh({ new: true }), nothing), parts)
    t.strictSame(first.verdict, { kind: 'consistent', held: true })
    const second = await judge(first.announced, from(fresh({ new: true }), fresh({ new: true })), parts)
    t.strictSame(second.verdict, { kind: 'consistent', held: true })
    t.strictSame(calls, ['read'])
  },
)

t.test('planted: a replaced value', async (t) => {
  for (const known of [undefined, row('7', 'new')]) {
    const { calls, parts } = evidence(row('7', 'new'))
    const answers = from(fresh('new'), fresh('old'), nothing)
    const { verdict } = await judge(announced('7', known), answers, parts)
    t.strictSame(verdict, { kind: 'inconsistent', suspects: [answers[1]] })
    t.strictSame(calls, ['read', 'catch up'])
  }
})

t.test('planted: a replaced value on all sidecars', async (t) => {
  const { parts } = evidence(row('7', 'new'))
  const answers = from(fresh('old'), fresh('old'))
  t.strictSame((await judge(announced('7'), answers, parts)).verdict, {
    kind: 'inconsistent',
    suspects: answers,
  })
})

t.test('planted: a deleted value', async (t) => {
  const { calls, parts } = evidence(undefined)
  const answers = from(absent, fresh('old'))
  t.strictSame((await judge(announced('-7'), answers, parts)).verdict, {
    kind: 'inconsistent',
    suspects: [answers[1]],
  })
  t.strictSame(calls, ['read', 'catch up'])
})

t.test('planted: an absent key that exists again', async (t) => {
  const { parts } = evidence(row('7', 'new'))
  t.equal((await judge(announced('7'), from(absent), parts)).verdict.kind, 'inconsistent')
})

t.test('innocent: an expired entry is absent', async (t) => {
  const { parts } = evidence(row('7', 'new', true))
  t.strictSame((await judge(announced('7'), from(absent, fresh('new')), parts)).verdict, {
    kind: 'consistent',
    held: true,
  })
})

t.test('innocent: the key was written again, and its announcement is still on its way', async (t) => {
  for (const known of [undefined, row('7', 'seven')]) {
    const { calls, parts } = evidence(row('8', 'eight'))
    const { verdict } = await judge(announced('7', known), from(fresh('eight')), parts)
    t.strictSame(verdict, { kind: 'undecided', why: 'overtaken' })
    t.strictSame(calls, ['read'])
  }
})

t.test('innocent: the key was deleted, and its announcement is still on its way', async (t) => {
  const { parts } = evidence(undefined)
  t.strictSame((await judge(announced('7'), from(fresh('seven')), parts)).verdict, {
    kind: 'undecided',
    why: 'overtaken',
  })
})

t.test('innocent: the key was written again, and the change arrives while the primary is read', async (t) => {
  const { parts, overtake } = evidence()
  const readPrimary = async () => {
    overtake()
    return row('7', 'seven')
  }
  const { verdict } = await judge(announced('7'), from(fresh('eight')), { ...parts, readPrimary })
  t.strictSame(verdict, { kind: 'undecided', why: 'overtaken' })
})

t.test('innocent: the key was inserted and deleted, and both changes arrive late', async (t) => {
  const { parts, overtake } = evidence(undefined)
  const caughtUp = async () => overtake()
  const { verdict } = await judge(announced('-7'), from(fresh('eight')), { ...parts, caughtUp })
  t.strictSame(verdict, { kind: 'undecided', why: 'overtaken' })
})

t.test('there is no verdict without evidence', async (t) => {
  const { parts } = evidence(row('7', 'new'))
  const away = () => Promise.reject(new Error('away'))
  await t.rejects(judge(announced('7'), from(fresh('old')), { ...parts, readPrimary: away }), /away/)
  await t.rejects(judge(announced('7'), from(fresh('old')), { ...parts, caughtUp: away }), /away/)
})

t.test('a violation needs a response from clearly after the bound', async (t) => {
  const heard = { key: 'k', version: '7', announcedMs: 1_000 }
  const asked = (ageMs: number): Asked => ({ sidecar: a, sentMs: 1_000 + ageMs, answer: fresh('old') })
  t.strictSame(violationsAmong([asked(100), asked(3_000), asked(boundMs(3_000))], heard, 3_000), [])
  t.strictSame(violationsAmong([asked(1_000), asked(3_013)], heard, 3_000), [
    { sidecar: a, key: 'k', version: '7', ageMs: 3_013 },
  ])
})

t.test('values are compared as JSON, not as text', async (t) => {
  t.equal(digestOf('{ "a" :\n[1, "\\u0062"]}'), digestOf('{"a":[1,"b"]}'))
  t.not(digestOf('"1"'), digestOf('1'))
  t.not(digestOf('12345678901234567890'), digestOf('12345678901234567891'), 'of large numbers, too')
  t.not(digestOf('1.10'), digestOf('1.1'))
})
