import t from 'tap'
import { Random } from '../../support/random.js'
import { LinearizabilityChecker, type RegisterValue } from './linearizability.js'

/**
 * `w` and `r`: known outcome; `?`: a write of unknown outcome; `e`: the expiry of what was written before. Then the
 * value, the call and the return.
 */
type Step = readonly ['w' | 'r' | '?' | 'e', RegisterValue, number, number]

const kinds = { r: 'read', w: 'write', '?': 'write', e: 'expire' } as const

function violationsOf(
  steps: readonly Step[],
  maxConfigurations?: number,
): { violations: number; undecided: number } {
  let violations = 0
  const checker = new LinearizabilityChecker({
    initial: null,
    onViolation: () => violations++,
    ...(maxConfigurations && { maxConfigurations }),
  })
  const begun = steps.map(([kind, value, invokeMs, returnMs]) => ({ kind, value, invokeMs, returnMs }))
  const events = begun
    .flatMap((step) => [
      { step, atMs: step.invokeMs, isCall: true },
      { step, atMs: step.returnMs, isCall: false },
    ])
    .sort((one, other) => one.atMs - other.atMs || Number(other.isCall) - Number(one.isCall))
  const operations = new Map<object, ReturnType<typeof checker.begin>>()
  for (const { step, atMs, isCall } of events) {
    if (isCall) {
      const kind = kinds[step.kind]
      operations.set(step, checker.begin({ kind, value: step.value, invokeMs: atMs, by: 'a client' }))
    } else {
      const operation = operations.get(step)
      if (operation) checker.end(operation, step.kind === '?' ? 'unknown' : 'known', atMs)
    }
  }
  return { violations, undecided: checker.undecided }
}

const accepted: Readonly<Record<string, readonly Step[]>> = {
  'a value is there until it expires, at some moment': [
    ['w', 'a', 0, 1],
    ['r', 'a', 2, 3],
    ['e', 'a', 10, 20],
    ['r', 'a', 11, 12],
    ['r', null, 13, 14],
    ['r', null, 21, 22],
  ],
  'the expiry of what was overwritten changes nothing': [
    ['w', 'a', 0, 1],
    ['w', 'b', 2, 3],
    ['e', 'a', 10, 20],
    ['r', 'b', 11, 12],
    ['r', 'b', 21, 22],
  ],
  'it expires, or is overwritten before': [
    ['w', 'a', 0, 1],
    ['e', 'a', 10, 20],
    ['w', 'b', 10, 30],
    ['r', null, 15, 16],
    ['r', 'b', 31, 32],
  ],
  'one after another': [
    ['r', null, 0, 1],
    ['w', 'a', 2, 3],
    ['r', 'a', 4, 5],
    ['w', null, 6, 7],
    ['r', null, 8, 9],
  ],
  'a read beside a write sees the old or the new value': [
    ['w', 'a', 0, 1],
    ['w', 'b', 2, 10],
    ['r', 'a', 3, 4],
    ['r', 'b', 5, 6],
  ],
  'two writes side by side, in either order': [
    ['w', 'a', 0, 10],
    ['w', 'b', 0, 10],
    ['r', 'b', 11, 12],
    ['w', 'c', 20, 30],
    ['w', 'd', 20, 30],
    ['r', 'c', 31, 32],
  ],
  'an unknown write that never happened': [
    ['w', 'a', 0, 1],
    ['?', 'b', 2, 3],
    ['r', 'a', 4, 5],
    ['r', 'a', 90, 91],
  ],
  'an unknown write that happened late': [
    ['w', 'a', 0, 1],
    ['?', 'b', 2, 3],
    ['r', 'a', 4, 5],
    ['w', 'c', 6, 7],
    ['r', 'b', 90, 91],
  ],
  'an unknown delete that happened late': [
    ['w', 'a', 0, 1],
    ['?', null, 2, 3],
    ['r', 'a', 4, 5],
    ['r', null, 6, 7],
  ],
  'a write seen before it returned': [
    ['w', 'a', 0, 100],
    ['r', 'a', 10, 20],
    ['r', 'a', 30, 40],
  ],
  'a read that waits over many writes': [
    ['w', 'a', 0, 1],
    ['r', 'b', 2, 100],
    ['w', 'b', 3, 4],
    ['w', 'c', 5, 6],
    ['r', 'c', 7, 8],
  ],
}

const refused: Readonly<Record<string, readonly Step[]>> = {
  'a value that has expired': [
    ['w', 'a', 0, 1],
    ['e', 'a', 10, 20],
    ['r', 'a', 21, 22],
  ],
  'a value that comes back after it has expired': [
    ['w', 'a', 0, 1],
    ['e', 'a', 10, 20],
    ['r', null, 11, 12],
    ['r', 'a', 13, 14],
  ],
  'an absence before the expiry': [
    ['w', 'a', 0, 1],
    ['r', null, 2, 3],
    ['e', 'a', 10, 20],
  ],
  'an absence though what has expired was overwritten': [
    ['w', 'a', 0, 1],
    ['w', 'b', 2, 3],
    ['e', 'a', 10, 20],
    ['r', null, 21, 22],
  ],
  'a stale read': [
    ['w', 'a', 0, 1],
    ['w', 'b', 2, 3],
    ['r', 'a', 4, 5],
  ],
  'a lost write': [
    ['w', 'a', 0, 1],
    ['r', null, 2, 3],
  ],
  'new, then old': [
    ['w', 'a', 0, 1],
    ['w', 'b', 2, 100],
    ['r', 'b', 10, 20],
    ['r', 'a', 30, 40],
  ],
  'two readers that disagree about the order': [
    ['w', 'a', 0, 10],
    ['w', 'b', 0, 10],
    ['r', 'a', 11, 12],
    ['r', 'b', 13, 14],
  ],
  'an unknown write that happened twice': [
    ['w', 'a', 0, 1],
    ['?', 'b', 2, 3],
    ['r', 'b', 4, 5],
    ['w', 'c', 6, 7],
    ['r', 'b', 8, 9],
  ],
  'one unknown delete seen twice': [
    ['w', 'a', 0, 1],
    ['?', null, 2, 3],
    ['r', null, 4, 5],
    ['w', 'b', 6, 7],
    ['r', null, 8, 9],
  ],
  'a value that nobody wrote': [['r', 'x', 0, 1]],
  'a value from the future': [
    ['r', 'a', 0, 1],
    ['w', 'a', 2, 3],
  ],
}

for (const [name, steps] of Object.entries(accepted))
  t.test(`accepted: ${name}`, async (t) => t.same(violationsOf(steps), { violations: 0, undecided: 0 }))
for (const [name, steps] of Object.entries(refused))
  t.test(`refused: ${name}`, async (t) => t.same(violationsOf(steps), { violations: 1, undecided: 0 }))

t.test('after a violation the check continues once nothing is pending', async (t) => {
  const stale: Step[] = [
    ['w', 'a', 0, 1],
    ['w', 'b', 2, 3],
    ['r', 'a', 4, 5],
  ]
  const later = stale.map(([kind, value, call, end]): Step => [kind, `${value}2`, call + 100, end + 100])
  t.equal(violationsOf([...stale, ...later]).violations, 2)
})

t.test('beyond its limit the check reports that it could not decide', async (t) => {
  const writes = Array.from({ length: 12 }, (_none, index): Step => ['w', `v${index}`, 0, 100 + index])
  t.same(violationsOf(writes, 50), { violations: 0, undecided: 1 })
})

/** Operations on a real register, each at a random moment between its call and its return. */
function realHistory(random: Random): Step[] {
  const planned = Array.from({ length: 40 }, (_none, index) => {
    const invokeMs = random.integer(0, 400)
    const returnMs = invokeMs + random.integer(1, 30)
    const kind = random.chance(0.5) ? 'r' : random.chance(0.2) ? '?' : 'w'
    const value = random.chance(0.15) ? null : `v${index}`
    const happens = kind !== '?' || random.chance(0.5)
    const atMs = kind === '?' ? random.between(invokeMs, 430) : random.between(invokeMs, returnMs)
    return { kind, value, invokeMs, returnMs, happens, atMs } as const
  })
  let current: RegisterValue = null
  return planned
    .sort((one, other) => one.atMs - other.atMs)
    .map(({ kind, value, invokeMs, returnMs, happens }): Step => {
      if (kind === 'r') return [kind, current, invokeMs, returnMs]
      if (happens) current = value
      return [kind, value, invokeMs, returnMs]
    })
}

/** Wing and Gong's search without any of the shortcuts, for small histories. */
function hasOrder(steps: readonly Step[], current: RegisterValue = null): boolean {
  const known = steps.filter(([kind]) => kind !== '?')
  if (known.length === 0) return true
  const firstReturnMs = Math.min(...known.map(([, , , returnMs]) => returnMs))
  return steps.some((step) => {
    const [kind, value, invokeMs] = step
    if (invokeMs > firstReturnMs || (kind === 'r' && value !== current)) return false
    const expired = value === current ? null : current
    return hasOrder(
      steps.filter((other) => other !== step),
      kind === 'r' ? current : kind === 'e' ? expired : value,
    )
  })
}

t.test('2,000 histories of a real register are accepted', async (t) => {
  const random = new Random(1)
  for (let round = 0; round < 2_000; round++) {
    const steps = realHistory(random)
    if (violationsOf(steps).violations > 0) return t.fail(JSON.stringify(steps))
  }
})

t.test('the check agrees with a plain search on 5,000 small histories', async (t) => {
  const random = new Random(2)
  let wrong = 0
  for (let round = 0; round < 5_000; round++) {
    const values: RegisterValue[] = [null, 'v0', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6']
    const steps = Array.from({ length: 7 }, (_none, index): Step => {
      const kind = random.pick(['r', 'r', 'w', 'w', '?'] as const)
      const invokeMs = random.integer(0, 30)
      const value = kind === 'r' ? random.pick(values) : random.chance(0.2) ? null : `v${index}`
      return [kind, value, invokeMs, invokeMs + random.integer(1, 15)]
    })
    // Some of what is written expires some time after it was acknowledged.
    for (const [kind, value, , returnMs] of [...steps]) {
      const fromMs = returnMs + random.integer(1, 10)
      if (kind === 'w' && value !== null && random.chance(0.5))
        steps.push(['e', value, fromMs, fromMs + random.integer(1, 10)])
    }
    const expected = hasOrder(steps)
    if (!expected) wrong++
    if ((violationsOf(steps).violations === 0) !== expected)
      return t.fail(JSON.stringify({ expected, steps }))
  }
  t.ok(wrong > 1_000 && wrong < 4_950, `${wrong} of them were wrong`)
})

t.test('another history begins with its own value and the pending writes', async (t) => {
  const violationsAfter = (...seen: RegisterValue[]) => {
    let violations = 0
    const checker = new LinearizabilityChecker({ initial: null, onViolation: () => violations++ })
    const begin = (kind: 'read' | 'write', value: RegisterValue, invokeMs: number) =>
      checker.begin({ kind, value, invokeMs, by: 'a client' })
    checker.end(begin('write', 'first', 0), 'known', 10)
    checker.end(begin('write', 'lost', 20), 'known', 30)
    const [write, read] = [begin('write', 'pending', 40), begin('read', null, 41)]
    checker.beginAnew('first', 50)
    for (const [index, value] of seen.entries()) {
      checker.end(begin('read', null, 60 + 10 * index), 'known', 65 + 10 * index, value)
    }
    checker.end(read, 'known', 200, 'lost')
    checker.end(write, 'known', 200)
    return violations
  }
  t.equal(violationsAfter('first'), 0)
  t.equal(violationsAfter('first', 'pending'), 0)
  t.equal(violationsAfter('lost'), 1)
  t.equal(violationsAfter('pending', 'first'), 1)
})

t.test(
  'what has expired by the time at which another history begins may have been seen absent',
  async (t) => {
    let violations = 0
    const checker = new LinearizabilityChecker({ initial: null, onViolation: () => violations++ })
    const begin = (kind: 'read' | 'write' | 'expire', value: RegisterValue, invokeMs: number) =>
      checker.begin({ kind, value, invokeMs, by: 'a client' })
    checker.end(begin('write', 'first', 0), 'known', 10)
    begin('expire', 'first', 20)
    checker.end(begin('read', null, 30), 'known', 40, null)
    checker.beginAnew(null, 50)
    checker.end(begin('read', null, 60), 'known', 70, null)
    t.equal(violations, 0)
  },
)
