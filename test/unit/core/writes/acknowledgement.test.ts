import t from 'tap'
import type { CacheState } from '../../../../src/core/state/cache-state.js'
import type { Flight } from '../../../../src/core/state/flights.js'
import { formatToken } from '../../../../src/core/state/session-token.js'
import { acknowledge } from '../../../../src/core/writes/acknowledgement.js'

const epoch = '1-00000001'
const written = { version: '7', epoch, remainingMs: 500, isAsSent: true }
const answer = { epoch, before: undefined, isMet: true, written }

/** Acknowledges a write, and returns the result and what was done with memory. */
function acknowledged(value: string | undefined, more: Partial<Parameters<typeof acknowledge>[3]> = {}) {
  const calls: unknown[][] = []
  const state = {
    acknowledged: (...[, one]: unknown[]) => calls.push(['acknowledged', one]),
    put: (...[, stored]: unknown[]) => calls.push(['put', stored]),
    putAbsence: (...[, key, told]: unknown[]) => calls.push(['put absence', key, told]),
  } as unknown as CacheState
  const write = { key: 'k', value, mediaType: undefined }
  const result = acknowledge(state, { id: 'k' } as Flight, write, { ...answer, ...more })
  return { result, calls }
}

t.test('a write that is stored as it was sent is put into memory', async (t) => {
  const { result, calls } = acknowledged('1', { before: '6' })
  t.strictSame(calls, [
    ['acknowledged', written],
    ['put', { key: 'k', value: '1', mediaType: undefined, isComparable: true, ...written }],
  ])
  t.strictSame(result, { kind: 'written', existed: true, token: formatToken('k', written), written })
})

t.test('a delete that happened as it was sent leaves an absence', async (t) => {
  const { result, calls } = acknowledged(undefined)
  t.strictSame(calls, [
    ['acknowledged', written],
    ['put absence', 'k', { epoch }],
  ])
  t.match(result, { existed: false, written: undefined })
})

t.test('what a trigger has changed is not put into memory, neither a value nor an absence', async (t) => {
  const altered = { ...written, isAsSent: false }
  for (const value of ['1', undefined]) {
    const { result, calls } = acknowledged(value, { written: altered })
    t.strictSame(calls, [['acknowledged', altered]])
    t.match(result, { token: formatToken('k', altered), written: undefined })
  }
})

t.test('a delete of nothing says so, and tells nothing of the row', async (t) => {
  const { result, calls } = acknowledged(undefined, { written: undefined })
  t.strictSame(calls, [['acknowledged', undefined]])
  t.strictSame(result, {
    kind: 'written',
    existed: false,
    token: formatToken('k', undefined),
    written: undefined,
  })
})
