import t from 'tap'
import { checkDurability, type DurabilityInput, type OnceWritten } from './durability.js'
import { History, type Outcome } from './history.js'
import { Spell } from './spell.js'

function keyWithHistory() {
  const history = new History(['k'])
  const write = (value: string | null, invokeMs: number, returnMs: number, outcome: Outcome = 'ok') => {
    const record = history.begin({ key: 'k', value, by: 'me', via: 'sidecar-0.1', invokeMs })
    history.end(record, outcome, returnMs)
  }
  return { history, write }
}

function check(input: Partial<DurabilityInput> & Pick<DurabilityInput, 'history'>) {
  return checkDurability({
    once: [],
    stored: new Map(),
    keepers: new Map(),
    truncatedByMs: Number.NEGATIVE_INFINITY,
    lostTails: [],
    lifetimes: [],
    ...input,
  })
}

t.test('an acknowledged write is present or overwritten', async (t) => {
  const { history, write } = keyWithHistory()
  write('first', 0, 10)
  write('second', 20, 30)
  t.same(check({ history, stored: new Map([['k', 'second']]) }).violations, [])
  t.match(check({ history, stored: new Map([['k', 'first']]) }).violations, [/second .* is lost/])
  t.match(check({ history }).violations, [/ends as absent; .* is lost/])
  t.match(check({ history, stored: new Map([['k', 'other']]) }).violations, [/nobody wrote/])
  write(null, 40, 50, 'unknown')
  t.same(check({ history }).violations, [])
})

t.test('a pending write is present, overwritten, a conflict, or lost with its sidecar', async (t) => {
  const { history, write } = keyWithHistory()
  write('first', 0, 10)
  write('kept', 20, 30, 'kept')
  const stored = new Map([['k', 'first']])
  const keeper = (killed: boolean, conflicts: number) => new Map([['sidecar-0.1', { killed, conflicts }]])
  t.match(check({ history, stored, keepers: keeper(false, 0) }).violations, [
    /1 writes kept by sidecar-0.1 are nowhere/,
  ])
  t.same(check({ history, stored, keepers: keeper(false, 1) }).violations, [])
  t.same(check({ history, stored, keepers: keeper(true, 0) }).violations, [])
  t.same(check({ history, stored: new Map([['k', 'kept']]) }).violations, [])
  write('third', 40, 50)
  t.same(check({ history, stored: new Map([['k', 'third']]) }).violations, [])
})

t.test('a pending write may be overwritten by one that had failed to return before', async (t) => {
  const { history, write } = keyWithHistory()
  write('late', 0, 10, 'unknown')
  write(null, 20, 30, 'kept')
  const stored = new Map([['k', 'late']])
  const keepers = new Map([['sidecar-0.1', { killed: false, conflicts: 0 }]])
  t.same(check({ history, stored, keepers }).violations, [])
  history.seen('k', 'late', 15)
  t.match(check({ history, stored, keepers }).violations, [/1 writes kept/])
})

t.test('a key that is written once keeps its value', async (t) => {
  const { history } = keyWithHistory()
  const one = (outcome: Outcome): OnceWritten => ({
    key: 'once',
    value: 'v',
    via: 's.1',
    invokeMs: 100,
    returnMs: 110,
    outcome,
  })
  const there = new Map([['once', 'v']])
  const violationsOf = (outcome: Outcome, more: Partial<DurabilityInput> = {}) =>
    check({ history, once: [one(outcome)], ...more }).violations
  t.same(violationsOf('ok', { stored: there }), [])
  t.match(violationsOf('ok'), [/was acknowledged and is not there/])
  t.same(violationsOf('ok', { truncatedByMs: 100 }), [])
  t.match(violationsOf('ok', { stored: new Map([['once', 'w']]) }), [/nobody wrote/])
  t.match(violationsOf('failed', { stored: there }), [/said to have failed/])
  t.same(
    [...violationsOf('failed'), ...violationsOf('unknown'), ...violationsOf('unknown', { stored: there })],
    [],
  )
  t.match(violationsOf('kept'), [/1 writes kept/])
  const lost = (fromMs: number, toMs: number) => violationsOf('ok', { lostTails: [{ fromMs, toMs }] })
  t.same([...lost(110, 200), ...lost(50, 100)], [])
  t.match(lost(111, 200), [/was acknowledged and is not there/])
  const given = (outcome: Outcome, fromMs: number, goneMs: number) => {
    const spell = new Spell(fromMs)
    spell.gone(goneMs)
    return violationsOf(outcome, { lifetimes: [spell] })
  }
  t.same([...given('ok', 0, 100), ...given('ok', 110, 200), ...given('kept', 150, 200)], [], 'it has expired')
  t.match(given('ok', 0, 99), [/was acknowledged and is not there/])
  t.match(given('ok', 111, 200), [/was acknowledged and is not there/])
  t.match(given('kept', 0, 99), [/1 writes kept/])
})

t.test('writes that another history lost are void, and restored ones are current', async (t) => {
  const { history, write } = keyWithHistory()
  write('first', 0, 10)
  write('lost', 20, 30)
  write('kept in the lost tail', 40, 50, 'kept')
  history.beginAnew(new Map([['k', 'first']]), 100)
  t.same(check({ history, stored: new Map([['k', 'first']]) }).violations, [])
  t.match(check({ history, stored: new Map([['k', 'lost']]) }).violations, [/ends as lost/])
  write('next', 110, 120)
  t.match(check({ history, stored: new Map([['k', 'first']]) }).violations, [/next .* is lost/])
})
