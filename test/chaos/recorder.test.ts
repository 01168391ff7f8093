import t from 'tap'
import { Recorder } from './recorder.js'
import type { ReadAnswer } from './sidecar-client.js'
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
  const entry = (value: string | null, source: 'cache' | 'db' = 'db', stale = false): ReadAnswer => ({
    kind: 'entry',
    value,
    source,
    stale,
    status: '',
  })
  return {
    violations,
    recorder,
    write(value: string, outcome: 'ok' | 'failed' = 'ok', key = 'k') {
      recorder.endWrite(recorder.beginWrite({ key, value, by: 'me', via: 'sidecar-0.1' }), outcome)
    },
    read(kind: 'default' | 'strong', answer: ReadAnswer) {
      recorder.endRead(recorder.beginRead({ kind, key: 'k', by: 'me', via: 'sidecar-0.1' }), answer, false)
    },
    entry,
  }
}

t.test('answers that cannot be', async (t) => {
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

t.test('what is marked stale promises nothing', async (t) => {
  const { recorder, violations, write, read, entry } = recorded()
  write('old')
  write('new')
  read('default', entry('old', 'cache', true))
  read('default', entry('new'))
  t.equal(violations.total, 0)
  t.equal(recorder.keysNotLinearizable, 0)
  t.match(recorder.counts, { staleMarked: 1, hits: 0 })
})
