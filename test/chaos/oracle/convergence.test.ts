import t from 'tap'
import type { ReadAnswer } from '../fleet/sidecar-client.js'
import { checkConvergence } from './convergence.js'

const stored = new Map([['k', 'current']])

function verdict(answer: ReadAnswer, key = 'k') {
  return checkConvergence([{ key, reader: 'sidecar-0', answer }], stored)
}

function entry(value: string | null, stale = false): ReadAnswer {
  return { kind: 'entry', value, source: 'cache', stale, status: 'caching-layer; hit' }
}

t.test('every sidecar must answer with the value of the primary', async (t) => {
  t.same(verdict(entry('current')), [])
  t.same(verdict(entry(null), 'absent'), [])
  t.match(verdict(entry('old')), [/k at sidecar-0: old .* the primary has current/])
  t.match(verdict(entry(null)), [/absent .* the primary has current/])
  t.match(verdict(entry('ghost'), 'absent'), [/the primary has absent/])
  t.match(verdict(entry('current', true)), [/still marked stale/])
  t.match(verdict({ kind: 'refused' }), [/no answer/])
})
