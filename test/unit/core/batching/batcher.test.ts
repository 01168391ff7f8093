import t from 'tap'
import { Batcher } from '../../../../src/core/batching/batcher.js'
import type { BatcherOptions } from '../../../../src/core/batching/batcher-options.js'
import { Semaphore } from '../../../../src/core/batching/semaphore.js'
import { CacheError, type CacheErrorCode } from '../../../../src/core/errors.js'
import { Histogram } from '../../../../src/core/histogram.js'
import type { BatchTracer, TracedBatch } from '../../../../src/core/tracer.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { Gate } from '../../../support/gate.js'
import { turn } from '../../../support/turn.js'

interface Item {
  readonly key: string
  readonly value: number
}

/** One statement under way, to be ended by the test. */
interface Sent {
  readonly keys: readonly string[]
  readonly values: readonly number[]
  /** Answers every key with its value in words. */
  answer(): void
  fail(reason: unknown): void
}

function batcher(options: Partial<BatcherOptions<Item, string>> = {}) {
  const clock = new DrivenClock()
  const sent: Sent[] = []
  const batcher = new Batcher<Item, string>({
    clock,
    slots: new Semaphore(1),
    lockSlots: new Semaphore(1),
    operation: 'read',
    maxItems: 100,
    maxBytes: 1_000,
    bytesOf: () => 1,
    maxWaitMs: 1_000,
    sizes: new Histogram([1, 2]),
    run: (items) =>
      new Promise((resolve, reject) => {
        sent.push({
          keys: items.map(({ key }) => key),
          values: items.map(({ value }) => value),
          answer: () => resolve(new Map(items.map(({ key, value }) => [key, `value ${value}`]))),
          fail: reject,
        })
      }),
    ...options,
  })
  const keys = () => sent.map((statement) => statement.keys)
  return { clock, batcher, sent, keys }
}

t.test(
  'what is asked within one turn goes in one statement, and each caller gets their own answer',
  async (t) => {
    const { batcher: it, sent, keys } = batcher()
    const asked = [it.add({ key: 'a', value: 1 }), it.add({ key: 'b', value: 2 })]
    t.same(sent, [], 'not before the caller yields')
    await turn()
    t.same(keys(), [['a', 'b']])
    sent[0]?.answer()
    t.match(await Promise.all(asked), [{ answer: 'value 1' }, { answer: 'value 2' }])
  },
)

t.test('a key that is not in the answer gets undefined', async (t) => {
  const { batcher: it } = batcher({ run: async () => new Map() })
  const item = { key: 'a', value: 1 }
  t.same(await it.add(item), { sent: item, answer: undefined })
})

t.test('of several items for one key only the last is sent, and every caller learns which', async (t) => {
  const { batcher: it, sent } = batcher()
  const [first, second, third] = [1, 2, 3].map((value) => ({ key: 'a', value }))
  if (!first || !second || !third) return t.fail()
  const asked = [it.add(first), it.add(second), it.add(third)]
  await turn()
  t.same(
    sent.map(({ values }) => values),
    [[3]],
  )
  sent[0]?.answer()
  for (const { sent, answer } of await Promise.all(asked)) {
    t.equal(sent, third)
    t.equal(answer, 'value 3')
  }
})

t.test('what arrives while a statement is under way shares the next one', async (t) => {
  const { batcher: it, sent, keys } = batcher()
  const asked = [it.add({ key: 'a', value: 1 })]
  await turn()
  asked.push(it.add({ key: 'b', value: 2 }))
  await turn()
  asked.push(it.add({ key: 'a', value: 3 }))
  await turn()
  t.same(keys(), [['a']])
  sent[0]?.answer()
  t.match(await asked[0], { answer: 'value 1' }, 'what was sent is not replaced by what came later')
  await turn()
  t.same(keys(), [['a'], ['b', 'a']])
  sent[1]?.answer()
  t.match(await Promise.all(asked), [{ answer: 'value 1' }, { answer: 'value 2' }, { answer: 'value 3' }])
})

t.test('no more statements are under way than allowed', async (t) => {
  const { batcher: it, sent, keys } = batcher({ slots: new Semaphore(2) })
  const asked = []
  for (const key of ['a', 'b', 'c', 'd']) {
    asked.push(it.add({ key, value: 1 }))
    await turn()
  }
  t.same(keys(), [['a'], ['b']])
  sent[1]?.answer()
  await turn()
  t.same(keys(), [['a'], ['b'], ['c', 'd']])
  sent[0]?.answer()
  sent[2]?.answer()
  await Promise.all(asked)
})

/** Turns of the event loop, one at a time. */
function inTurns(options: Partial<BatcherOptions<Item, string>>) {
  const deferred: (() => void)[] = []
  let nowMs = 1_000_000
  const parts = batcher({
    clock: { now: () => nowMs, defer: (task) => void deferred.push(task) },
    ...options,
  })
  const advance = (ms: number) => {
    nowMs += ms
  }
  const endTurn = async () => {
    for (const task of deferred.splice(0)) task()
    await turn()
  }
  return { ...parts, advance, endTurn }
}

t.test('with a statement in flight, the next begins after a turn without new items', async (t) => {
  const { batcher: it, sent, keys, endTurn } = inTurns({ slots: new Semaphore(2), keepsOrder: true })
  const asked = [it.add({ key: 'a', value: 1 })]
  await endTurn()
  t.same(keys(), [['a']], 'with nothing in flight, at once')
  for (const key of ['b', 'c', 'd']) {
    asked.push(it.add({ key, value: 2 }))
    await endTurn()
    t.same(keys(), [['a']])
  }
  await endTurn()
  t.same(keys(), [['a'], ['b', 'c', 'd']])
  for (const statement of sent) statement.answer()
  await Promise.all(asked)
})

t.test('if items keep arriving, the next statement begins when the one in flight ends', async (t) => {
  const { batcher: it, sent, keys, endTurn } = inTurns({ slots: new Semaphore(2) })
  const asked = [it.add({ key: 'a', value: 1 })]
  await endTurn()
  for (const key of ['b', 'c']) {
    asked.push(it.add({ key, value: 2 }))
    await endTurn()
  }
  sent[0]?.answer()
  await turn()
  asked.push(it.add({ key: 'd', value: 3 }))
  await endTurn()
  t.same(keys(), [['a'], ['b', 'c', 'd']])
  sent[1]?.answer()
  await Promise.all(asked)
})

t.test('if items keep arriving while a statement hangs, the next begins after 2 ms', async (t) => {
  const { batcher: it, sent, keys, advance, endTurn } = inTurns({ slots: new Semaphore(2) })
  const asked = [it.add({ key: 'a', value: 1 })]
  await endTurn()
  for (const key of ['b', 'c', 'd']) {
    t.same(keys(), [['a']])
    asked.push(it.add({ key, value: 2 }))
    await endTurn()
    advance(1)
  }
  t.same(keys(), [['a'], ['b', 'c', 'd']])
  for (const statement of sent) statement.answer()
  await Promise.all(asked)
})

t.test('with ordering, no key is in two statements at once', async (t) => {
  const { batcher: it, sent, keys } = batcher({ slots: new Semaphore(3), keepsOrder: true })
  const asked = [it.add({ key: 'a', value: 1 })]
  await turn()
  for (const [key, value] of [
    ['a', 2],
    ['b', 3],
    ['a', 4],
  ] as const)
    asked.push(it.add({ key, value }))
  await turn()
  t.same(keys(), [['a'], ['b']], 'the others do not wait')
  sent[1]?.answer()
  await turn()
  t.same(keys(), [['a'], ['b']])
  sent[0]?.answer()
  await turn()
  t.same(sent[2]?.values, [4], 'the last of those that waited')
  sent[2]?.answer()
  t.match(await Promise.all(asked), [
    { answer: 'value 1' },
    { answer: 'value 4' },
    { answer: 'value 3' },
    { answer: 'value 4' },
  ])
})

t.test('items behind a failed statement are sent', async (t) => {
  const { batcher: it, sent } = batcher({ slots: new Semaphore(3), keepsOrder: true })
  const first = it.add({ key: 'a', value: 1 })
  await turn()
  const second = it.add({ key: 'a', value: 2 })
  await turn()
  sent[0]?.fail(new Error('lost'))
  await t.rejects(first, { message: 'lost' })
  await turn()
  sent[1]?.answer()
  t.match(await second, { answer: 'value 2' })
})

t.test('kinds of statements that share slots leave one for each other', async (t) => {
  const slots = new Semaphore(1)
  const [reads, writes] = [batcher({ slots }), batcher({ slots })]
  const asked = [reads.batcher.add({ key: 'a', value: 1 })]
  await turn()
  asked.push(writes.batcher.add({ key: 'b', value: 2 }))
  await turn()
  asked.push(reads.batcher.add({ key: 'c', value: 3 }))
  await turn()
  t.same([reads.keys(), writes.keys()], [[['a']], []])
  reads.sent[0]?.answer()
  await turn()
  t.same([reads.keys(), writes.keys()], [[['a']], [['b']]], 'who waited longest is next')
  writes.sent[0]?.answer()
  await turn()
  t.same(reads.keys(), [['a'], ['c']])
  reads.sent[1]?.answer()
  await Promise.all(asked)
})

t.test('items that arrive while a batch waits for a slot join it', async (t) => {
  const slots = new Semaphore(1)
  const { batcher: it, sent, keys } = batcher({ slots })
  slots.acquire(() => undefined)
  const asked = [it.add({ key: 'a', value: 1 })]
  await turn()
  asked.push(it.add({ key: 'b', value: 2 }), it.add({ key: 'a', value: 3 }))
  await turn()
  t.same(keys(), [])
  slots.release()
  t.same(keys(), [['a', 'b']])
  sent[0]?.answer()
  t.match(await Promise.all(asked), [{ answer: 'value 3' }, { answer: 'value 2' }, { answer: 'value 3' }])
})

t.test('a slot is released whatever the outcome of the statement', async (t) => {
  const slots = new Semaphore(1)
  const { clock, batcher: it, sent, keys } = batcher({ slots })
  const failing = it.add({ key: 'a', value: 1 })
  await turn()
  sent[0]?.fail(new Error('broken'))
  await t.rejects(failing, { message: 'broken' })

  slots.acquire(() => undefined)
  const late = it.add({ key: 'b', value: 1 })
  await turn()
  clock.advance(1_001)
  slots.release()
  await t.rejects(late, { code: 'store-busy' })

  const next = it.add({ key: 'c', value: 1 })
  await turn()
  t.same(keys(), [['a'], ['c']])
  sent[1]?.answer()
  await next
})

t.test('a batch has no more items than allowed, oldest first', async (t) => {
  const { batcher: it, sent, keys } = batcher({ maxItems: 2, slots: new Semaphore(2) })
  const asked = ['a', 'b', 'c', 'd', 'e'].map((key, value) => it.add({ key, value }))
  await turn()
  t.same(keys(), [
    ['a', 'b'],
    ['c', 'd'],
  ])
  sent[0]?.answer()
  await turn()
  t.same(keys()[2], ['e'])
  sent[1]?.answer()
  sent[2]?.answer()
  await Promise.all(asked)
})

t.test('a batch has no more bytes than allowed, but always one item', async (t) => {
  const {
    batcher: it,
    sent,
    keys,
  } = batcher({ maxBytes: 10, bytesOf: ({ value }) => value, slots: new Semaphore(9) })
  const asked = Object.entries({ a: 4, b: 6, c: 1, d: 99, e: 5, f: 6 }).map(([key, value]) =>
    it.add({ key, value }),
  )
  await turn()
  t.same(keys(), [['a', 'b'], ['c'], ['d'], ['e'], ['f']])
  for (const statement of sent) statement.answer()
  await Promise.all(asked)
})

t.test('an item that has waited too long is refused as busy and not sent', async (t) => {
  const { clock, batcher: it, sent, keys } = batcher()
  const asked = [it.add({ key: 'a', value: 1 })]
  await turn()
  const late = [it.add({ key: 'b', value: 2 }), it.add({ key: 'b', value: 3 })]
  clock.advance(1)
  asked.push(it.add({ key: 'c', value: 4 }))
  clock.advance(1_000)
  sent[0]?.answer()
  for (const caller of late) await t.rejects(caller, { name: 'CacheError', code: 'store-busy' })
  await turn()
  t.same(keys(), [['a'], ['c']], 'exactly the bound is not too long')
  sent[1]?.answer()
  await Promise.all(asked)
})

t.test('after all items have timed out, the next is sent normally', async (t) => {
  const { clock, batcher: it, sent, keys } = batcher()
  const first = it.add({ key: 'a', value: 1 })
  await turn()
  const late = it.add({ key: 'b', value: 2 })
  clock.advance(1_001)
  sent[0]?.answer()
  await first
  await t.rejects(late, { code: 'store-busy' })
  const next = it.add({ key: 'c', value: 3 })
  await turn()
  t.same(keys(), [['a'], ['c']])
  sent[1]?.answer()
  await next
})

t.test('an error reaches all callers of its statement, and no later ones', async (t) => {
  const { batcher: it, sent } = batcher()
  const asked = [
    it.add({ key: 'a', value: 1 }),
    it.add({ key: 'a', value: 2 }),
    it.add({ key: 'b', value: 3 }),
  ]
  await turn()
  const after = it.add({ key: 'a', value: 4 })
  sent[0]?.fail(new CacheError('outcome-unknown', 'lost'))
  for (const caller of asked) await t.rejects(caller, { code: 'outcome-unknown' })
  await turn()
  t.equal(sent[0]?.keys.length, 2, 'and it was sent once')
  sent[1]?.answer()
  t.match(await after, { answer: 'value 4' })
})

for (const code of ['refused', 'forbidden', 'store-failed', 'row-locked'] as const) {
  t.test(`one item that is ${code} fails alone`, async (t) => {
    const statements: string[][] = []
    const clock = new DrivenClock()
    const { batcher: it } = batcher({
      clock,
      run: async (items) => {
        statements.push(items.map(({ key }) => key))
        clock.advance(100)
        if (items.some(({ key }) => key === 'bad')) throw new CacheError(code, 'not this one')
        return new Map(items.map(({ key, value }) => [key, `value ${value}`]))
      },
    })
    const good = ['a', 'b', 'c', 'd'].map((key, value) => it.add({ key, value }))
    const bad = [it.add({ key: 'bad', value: 9 }), it.add({ key: 'bad', value: 10 })]
    for (const caller of bad) await t.rejects(caller, { code })
    t.match(
      await Promise.all(good),
      [0, 1, 2, 3].map((value) => ({ answer: `value ${value}` })),
    )
    t.same(statements, [
      ['a', 'b', 'c', 'd', 'bad'],
      ['a', 'b'],
      ['c', 'd', 'bad'],
      ['c'],
      ['d', 'bad'],
      ['d'],
      ['bad'],
      // It waits for the lock alone, after the others have been answered, for as long as the request may wait.
      ...(code === 'row-locked' ? [['bad'], ['bad'], ['bad']] : []),
    ])
  })
}

t.test('an error that concerns no single item fails all, and the statement is sent once', async (t) => {
  const whole = (code: CacheErrorCode) => new CacheError(code, 'no', { isOfWholeStatement: true })
  const unsplit = ['store-unavailable', 'store-not-ready', 'queue-full'] as const
  const reasons = [
    ...unsplit.map((code) => new CacheError(code, 'no')),
    ...(['forbidden', 'store-failed', 'store-busy'] as const).map(whole),
  ]
  for (const reason of reasons) {
    const { batcher: it, sent } = batcher()
    const asked = ['a', 'b'].map((key) => it.add({ key, value: 1 }))
    await turn()
    sent[0]?.fail(reason)
    for (const caller of asked) await t.rejects(caller, { code: reason.code })
    t.equal(sent.length, 1, reason.code)
  }
})

t.test(
  'a row that takes too long is looked for within the time that the requests were promised',
  async (t) => {
    for (const [beganAfterMs, tookMs, isSplit] of [
      [0, 1_000, true],
      [900, 1_000, true],
      [0, 2_000, false],
      [1_000, 1_000, false],
    ] as const) {
      const slots = new Semaphore(1)
      if (beganAfterMs > 0) slots.acquire(() => undefined)
      const { batcher: it, sent, keys, clock } = batcher({ slots, maxWaitMs: 1_000 })
      const asked = Promise.allSettled(['a', 'b'].map((key) => it.add({ key, value: 1 })))
      await turn()
      clock.advance(beganAfterMs)
      if (beganAfterMs > 0) slots.release()
      clock.advance(tookMs)
      sent[0]?.fail(new CacheError('store-busy', 'slow'))
      await turn()
      t.same(keys(), isSplit ? [['a', 'b'], ['a']] : [['a', 'b']], `${beganAfterMs} + ${tookMs}`)
      if (isSplit) {
        sent[1]?.fail(new CacheError('store-busy', 'slow'))
        await turn()
        sent[2]?.answer()
      }
      const busy = { reason: { code: 'store-busy' } }
      t.match(await asked, [busy, isSplit ? { value: { answer: 'value 1' } } : busy])
    }
  },
)

t.test('neither the rest of a batch nor the next batch waits for a locked row', async (t) => {
  const waits: boolean[] = []
  const lock = new Gate()
  const { batcher: it } = batcher({
    slots: new Semaphore(2),
    keepsOrder: true,
    lockedOf: async () => new Set(['locked']),
    run: async (items) => {
      if (items.some(({ key }) => key === 'locked')) {
        waits.push(items.length === 1)
        if (waits.length === 1) throw new CacheError('row-locked', 'for a short time')
        await lock.pass()
      }
      return new Map(items.map(({ key, value }) => [key, `value ${value}`]))
    },
  })
  const locked = it.add({ key: 'locked', value: 1 })
  t.match(await it.add({ key: 'a', value: 2 }), { answer: 'value 2' })
  const later = it.add({ key: 'locked', value: 3 })
  t.match(await it.add({ key: 'b', value: 4 }), { answer: 'value 4' })
  t.same(waits, [false, true], 'it is sent by itself')
  lock.open()
  t.match(await locked, { answer: 'value 1' })
  t.match(await later, { answer: 'value 3' }, 'the order of one key is kept')
})

t.test('items that wait for locks leave slots for others', async (t) => {
  let patient = 0
  const lock = new Gate()
  const { batcher: it } = batcher({
    slots: new Semaphore(2),
    lockSlots: new Semaphore(1),
    lockedOf: async (keys) => new Set(keys.filter((key) => key.startsWith('locked'))),
    run: async (items) => {
      if (items.some(({ key }) => key.startsWith('locked'))) {
        if (items.length > 1) throw new CacheError('row-locked', 'for a short time')
        patient++
        await lock.pass()
      }
      return new Map(items.map(({ key, value }) => [key, `value ${value}`]))
    },
  })
  const locked = [1, 2, 3].map((value) => it.add({ key: `locked ${value}`, value }))
  t.match(await it.add({ key: 'a', value: 0 }), { answer: 'value 0' })
  t.match(await it.add({ key: 'b', value: 0 }), { answer: 'value 0' })
  t.equal(patient, 1)
  lock.open()
  await Promise.all(locked)
  t.equal(patient, 3)
})

t.test('items that wait for locks take turns', async (t) => {
  const sent: string[] = []
  const { batcher: it } = batcher({
    slots: new Semaphore(2),
    lockSlots: new Semaphore(1),
    lockedOf: async () => new Set(['long', 'short']),
    run: async (items) => {
      const keys = items.map(({ key }) => key)
      sent.push(keys.join())
      const isFree = sent.filter((one) => one === 'short').length > 1 || !keys.includes('short')
      if (keys.includes('long') && sent.length < 12) throw new CacheError('row-locked', 'for long')
      if (!isFree) throw new CacheError('row-locked', 'for a short time')
      return new Map(items.map(({ key, value }) => [key, `value ${value}`]))
    },
  })
  const long = it.add({ key: 'long', value: 1 })
  const short = it.add({ key: 'short', value: 2 })
  const free = it.add({ key: 'free', value: 3 })
  t.match(await free, { answer: 'value 3' })
  t.same(sent.slice(0, 2), ['long,short,free', 'free'], 'who is locked is asked, and not found by halving')
  t.match(await short, { answer: 'value 2' })
  t.ok(sent.length < 10, 'it has not waited for the other')
  t.match(await long, { answer: 'value 1' })
})

t.test('after a table lock the batch is sent again unchanged, unless it is too late', async (t) => {
  const reason = new CacheError('row-locked', 'the table', { isOfWholeStatement: true })
  const { batcher: it, sent, keys, clock } = batcher()
  const asked = ['a', 'b'].map((key) => it.add({ key, value: 1 }))
  await turn()
  sent[0]?.fail(reason)
  await turn()
  t.same(keys(), [
    ['a', 'b'],
    ['a', 'b'],
  ])
  sent[1]?.answer()
  t.match(await Promise.all(asked), [{ answer: 'value 1' }, { answer: 'value 1' }])
  const late = it.add({ key: 'c', value: 1 })
  await turn()
  clock.advance(1_000)
  sent[2]?.fail(reason)
  await t.rejects(late, { code: 'row-locked' })
  t.equal(sent.length, 3)
})

t.test('the size of every batch that is sent is observed', async (t) => {
  const sizes = new Histogram([1, 2])
  const { batcher: it, sent } = batcher({ sizes })
  const asked = [1, 2, 3].map((value) => it.add({ key: `${value}`, value }))
  await turn()
  sent[0]?.answer()
  await Promise.all(asked)
  const last = it.add({ key: 'a', value: 1 })
  await turn()
  sent[1]?.answer()
  await last
  t.same([sizes.cumulative(), sizes.sum], [[1, 1, 2], 4])
})

t.test('a tracer gets the context of each caller and runs the statement', async (t) => {
  const told: TracedBatch[] = []
  let asking = 'nobody'
  const tracer: BatchTracer = {
    origin: () => asking,
    batch: (batch, run) => {
      told.push(batch)
      return run()
    },
  }
  const { batcher: it, sent } = batcher({ tracer })
  const ask = (who: string, key: string) => {
    asking = who
    return it.add({ key, value: 1 })
  }
  const asked = [ask('one', 'a'), ask('two', 'b'), ask('three', 'a')]
  asking = 'nobody'
  await turn()
  sent[0]?.answer()
  await Promise.all(asked)
  t.same(told, [{ operation: 'read', keys: 2, origins: ['one', 'three', 'two'] }])
})

t.test('postponed items are sent again before newer ones', async (t) => {
  const answers = new Map<string, string>()
  const gates: Gate[] = []
  const keys: string[][] = []
  const { batcher: it } = batcher({
    isPostponed: (answer) => answer === 'later',
    run: async (items) => {
      const gate = new Gate()
      gates.push(gate)
      keys.push(items.map(({ key }) => key))
      await gate.pass()
      return new Map(items.map(({ key }, index) => [key, index === 0 ? `value of ${key}` : 'later']))
    },
  })
  const ask = (key: string) =>
    it.add({ key, value: 1 }).then(({ answer }) => answers.set(key, answer as string))
  const asked = ['a', 'b', 'c'].map(ask)
  await turn()
  asked.push(ask('d'), ask('c'))
  gates[0]?.open()
  while (gates.length < 2) await turn()
  t.same([...answers], [['a', 'value of a']], 'who has an answer does not wait for the others')
  t.same(keys, [
    ['a', 'b', 'c'],
    ['b', 'c', 'd'],
  ])
  for (let count = 1; answers.size < 4; await turn()) if (gates.length > count) gates[count++]?.open()
  await Promise.all(asked)
  t.same(keys.slice(2), [['c', 'd'], ['d']])
  t.equal(answers.get('d'), 'value of d')
})

t.test('an item that is postponed for too long is refused as busy', async (t) => {
  const { batcher: it, clock, sent } = batcher({ isPostponed: (answer) => answer === 'value 2' })
  const [first, second] = [it.add({ key: 'a', value: 1 }), it.add({ key: 'b', value: 2 })]
  await turn()
  clock.advance(1_001)
  sent[0]?.answer()
  t.equal((await first).answer, 'value 1')
  await t.rejects(second, { code: 'store-busy' })
})

t.test('statements that return values have their own limit besides the common one', async (t) => {
  const slots = new Semaphore(2)
  const reads = batcher({ slots, valueSlots: new Semaphore(1), maxItems: 1 })
  const asked = ['a', 'b'].map((key) => reads.batcher.add({ key, value: 1 }))
  await turn()
  await turn()
  t.same(reads.keys(), [['a']], 'the other slot stays free')
  const other = batcher({ slots })
  const write = other.batcher.add({ key: 'w', value: 1 })
  while (other.sent.length === 0) await turn()
  other.sent[0]?.answer()
  await write
  reads.sent[0]?.answer()
  while (reads.sent.length < 2) await turn()
  reads.sent[1]?.answer()
  await Promise.all(asked)
})
