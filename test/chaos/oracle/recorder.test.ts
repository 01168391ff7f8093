import t from 'tap'
import { eventually } from '../../support/eventually.js'
import { alter } from '../entry-value.js'
import type { ReadAnswer } from '../fleet/sidecar-client.js'
import { Recorder } from './recorder.js'
import { Spell } from './spell.js'
import { Violations } from './violations.js'

/** Operations that take no time, on two keys. */
function recorded(frozenMs = 0) {
  const violations = new Violations()
  const recorder = new Recorder({
    keys: ['k', 'other'],
    maxStalenessMs: 3_000,
    violations,
    situation: () => 'no fault under way',
    frozenMs: () => frozenMs,
  })
  const entry = (
    value: string | null,
    source: 'near' | 'cache' | 'db' = 'db',
    stale = false,
  ): ReadAnswer => ({
    kind: 'entry',
    value,
    source,
    stale,
    status: '',
  })
  return {
    violations,
    recorder,
    write(value: string, outcome: 'ok' | 'failed' | 'kept' = 'ok', key = 'k') {
      recorder.endWrite(recorder.beginWrite({ key, value, by: 'me', via: 'sidecar-0.1' }), outcome)
    },
    read(kind: 'default' | 'strong' | 'near', answer: ReadAnswer) {
      recorder.endRead(recorder.beginRead({ kind, key: 'k', by: 'me', via: 'sidecar-0.1' }), answer, false)
    },
    entry,
  }
}

t.test('impossible responses are violations', async (t) => {
  const { violations, write, read, entry } = recorded()
  write('value')
  write('failed', 'failed')
  write('of another key', 'ok', 'other')
  read('default', entry('value', 'cache'))
  t.equal(violations.total, 0)
  for (const answer of [
    entry('invented'),
    entry('failed', 'cache', true),
    entry('of another key', 'cache', true),
    { kind: 'wrong', why: '500' } as const,
  ]) {
    const before = violations.count('answers')
    read('default', answer)
    t.equal(violations.count('answers'), before + 1)
  }
  read('strong', entry('value', 'cache'))
  t.match(violations.kept.at(-1)?.text, /a strong read was answered from memory/)
})

t.test(
  'a stale strong read breaks the order; a stale default read only shows that the checker bites',
  async (t) => {
    const { recorder, violations, write, read, entry } = recorded()
    write('old')
    write('new')
    read('default', entry('old', 'cache'))
    read('strong', entry('new'))
    t.equal(violations.count('strong reads linearizable'), 0)
    t.equal(recorder.keysNotLinearizable, 1)
    read('strong', entry('old'))
    read('strong', entry('new'))
    t.equal(violations.count('strong reads linearizable'), 1)
    t.match(
      violations.kept.find(({ promise }) => promise.startsWith('strong'))?.around.join('\n'),
      /write new known/,
    )
  },
)

t.test('a stale response promises nothing', async (t) => {
  const { recorder, violations, write, read, entry } = recorded()
  write('old')
  write('new')
  read('default', entry('old', 'cache', true))
  read('default', entry('new'))
  t.equal(violations.total, 0)
  t.equal(recorder.keysNotLinearizable, 0)
  t.match(recorder.counts, { staleMarked: 1, hits: 0 })
})

t.test('"not found" from memory is a hit, and promises what every hit promises', async (t) => {
  const { recorder, violations, write, read, entry } = recorded()
  read('default', entry(null, 'cache'))
  t.match(recorder.counts, { hits: 1, absentHits: 1 })
  t.equal(violations.total, 0)
  write('value')
  read('default', entry('value', 'cache'))
  t.equal(violations.total, 0)
  read('default', entry(null, 'cache'))
  t.match(recorder.counts, { hits: 3, absentHits: 2 })
  t.equal(violations.count('sessions read their writes'), 1, 'the write went through the same sidecar')
})

/** A spell that has begun and not ended. */
function present(): Spell {
  const spell = new Spell(performance.now())
  spell.inForce(performance.now())
  return spell
}

t.test('a row is served until it expires and absent afterwards', async (t) => {
  const { recorder, violations, write, read, entry } = recorded()
  write('for ever')
  const lifetimeMs = 300
  recorder.expires(present(), lifetimeMs)
  write('value')
  const writtenMs = performance.now()
  read('strong', entry('value'))
  await eventually(() => performance.now() > writtenMs + lifetimeMs)
  read('strong', entry(null))
  read('default', entry(null, 'cache'))
  await eventually(() => performance.now() > writtenMs + lifetimeMs + 150)
  t.equal(violations.total, 0)
  read('default', entry('value', 'cache'))
  t.match(violations.kept.at(-1)?.text, /value served as fresh, expired at least \d+ ms before/)
  read('default', entry('value', 'cache', true))
  t.equal(violations.total, 1, 'marked stale it may be served')
  read('strong', entry(null))
  write('next')
  read('strong', entry('next'))
  t.equal(violations.total, 1)
  read('strong', entry(null))
  t.equal(violations.count('strong reads linearizable'), 1, 'the next one has not expired yet')
})

t.test('only a row written with an expiry expires', async (t) => {
  const { recorder, violations, write, read, entry } = recorded()
  const lifetimeMs = 300
  const handle = recorder.beginWrite({ key: 'k', value: 'value', by: 'me', via: 'sql', lifetimeMs })
  recorder.endWrite(handle, 'ok')
  const writtenMs = performance.now()
  read('strong', entry('value'))
  await eventually(() => performance.now() > writtenMs + lifetimeMs)
  read('strong', entry(null))
  await eventually(() => performance.now() > writtenMs + lifetimeMs + 150)
  t.equal(violations.total, 0)
  read('default', entry('value', 'cache'))
  t.match(violations.kept.at(-1)?.text, /value served as fresh, expired at least \d+ ms before/)
  write('for ever')
  read('strong', entry('for ever'))
  read('strong', entry(null))
  t.equal(violations.count('strong reads linearizable'), 1)
  t.equal(recorder.counts.expiring, 1)
})

t.test('a client that is refused without a reason is a violation', async (t) => {
  const { recorder, violations, read } = recorded()
  recorder.denies('refused', present(), ({ key }) => key === 'k')
  const denied = (key: string) => {
    const handle = recorder.beginWrite({ key, value: `of ${key}`, by: 'me', via: 'sidecar-0.1' })
    recorder.endWrite(handle, 'failed', 'refused')
  }
  denied('k')
  t.equal(violations.total, 0)
  denied('other')
  t.match(violations.kept, [
    { promise: 'answers', text: /key other: me via sidecar-0.1 was told .* refuses the row/ },
  ])
  read('default', { kind: 'refused', denial: 'forbidden' })
  t.equal(violations.count('answers'), 2)
  read('default', { kind: 'refused' })
  t.equal(violations.total, 2)
})

t.test('a row that may have expired may be present or absent', async (t) => {
  const { recorder, violations, write, read, entry } = recorded()
  write('kept', 'kept')
  const spell = new Spell(performance.now())
  recorder.expires(spell, 50)
  write('maybe')
  read('strong', entry('maybe'))
  read('strong', entry(null))
  read('strong', entry('kept'))
  read('strong', entry(null))
  t.equal(violations.total, 0)
  read('strong', entry('maybe'))
  read('strong', entry(null))
  t.equal(violations.count('strong reads linearizable'), 1)
})

t.test('a row of another history expires in that history', async (t) => {
  const { recorder, violations, write, read, entry } = recorded()
  const lifetimeMs = 200
  recorder.expires(present(), lifetimeMs)
  write('value')
  const writtenMs = performance.now()
  recorder.beginAnew(new Map([['k', 'value']]))
  read('strong', entry('value'))
  await eventually(() => performance.now() > writtenMs + lifetimeMs)
  read('strong', entry(null))
  read('strong', entry(null))
  t.equal(violations.total, 0)
})

t.test('a value altered by a trigger is expected in its altered form', async (t) => {
  const { recorder, violations, write, read, entry } = recorded()
  recorder.alters(present())
  write('value')
  read('strong', entry(alter('value')))
  read('default', entry('value', 'cache', true))
  t.equal(violations.total, 0)
  read('default', entry('value', 'cache'))
  t.match(violations.kept, [{ promise: 'answers', text: /as it was sent, though a trigger has altered it/ }])
  recorder.beginAnew(new Map([['k', alter('value')]]))
  read('strong', entry(alter('value')))
  t.equal(violations.total, 1)
})

t.test('a pending write that replaces a later acknowledged one is a violation', async (t) => {
  const { violations, write, read, entry } = recorded()
  write('kept', 'kept')
  // A later moment.
  const keptMs = performance.now()
  await eventually(() => performance.now() > keptMs)
  write('later')
  await eventually(() => performance.now() > keptMs + 1)
  read('default', entry('kept', 'cache'))
  t.equal(violations.total, 0)
  read('strong', entry('kept'))
  t.match(violations.kept, [{ promise: 'nothing lost', text: /in the place of later/ }])
})

t.test('a near cache must keep the bound, and show its client what that has written', async (t) => {
  const violations = new Violations()
  const options = { keys: ['k'], violations, situation: () => '', frozenMs: () => 0 }
  const recorder = new Recorder({ ...options, maxStalenessMs: -1 })
  const write = (value: string, by: string) =>
    recorder.endWrite(recorder.beginWrite({ key: 'k', value, by: 'me', via: by }), 'ok')
  const read = (value: string, stale: boolean) => {
    const begun = recorder.beginRead({ kind: 'near', key: 'k', by: 'me', via: 'near' })
    const answer = { kind: 'entry', value, source: 'near', stale, status: '' } as const
    recorder.endRead(begun, answer, false)
  }
  write('old', 'sql')
  write('mine', 'near')
  write('new', 'sql')
  read('old', true)
  t.equal(violations.count('sessions read their writes'), 1)
  t.match(violations.kept[0]?.text, /with the token of mine a client was shown old/)
  t.equal(recorder.nearSessions, 1)
  read('mine', false)
  t.equal(violations.count('bounded staleness'), 1)
  t.equal(recorder.nearStaleness.checked, 1)
  t.match(recorder.counts, { nearHits: 2, hits: 0, defaultReads: 0, reads: { near: 2 } })
})
