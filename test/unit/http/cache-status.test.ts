import t from 'tap'
import type { ReadResult } from '../../../src/core/reads/read-result.js'
import { cacheStatus } from '../../../src/http/routes/cache-status.js'

const shown = (read: Partial<ReadResult>) => cacheStatus(read).replace(/^caching-layer; /, '')

t.test('a hit tells for how long it will be fresh, in whole seconds', async (t) => {
  t.equal(cacheStatus({}), 'caching-layer; hit')
  t.equal(shown({ ttlMs: 41_999 }), 'hit; ttl=41')
  t.equal(shown({ ttlMs: 0 }), 'hit; ttl=0')
  t.equal(shown({ ttlMs: Number.POSITIVE_INFINITY }), 'hit')
})

t.test('a read from the database tells why, and what became of it', async (t) => {
  t.equal(shown({ forwarded: 'miss' }), 'fwd=miss')
  t.equal(shown({ forwarded: 'stale', ttlMs: 60_000 }), 'fwd=stale', 'without the time of the entry before')
  t.equal(shown({ forwarded: 'miss', stored: true }), 'fwd=miss; stored')
  t.equal(shown({ forwarded: 'request', collapsed: true }), 'fwd=request; collapsed')
  t.equal(
    shown({ forwarded: 'stale', revalidated: true, stored: true, collapsed: true }),
    'fwd=stale; fwd-status=304; stored; collapsed',
    'the database had the same version',
  )
})

t.test('an answer without proof tells what it is', async (t) => {
  t.equal(shown({ stale: 'unproven', ttlMs: 1_000 }), 'hit; ttl=1; detail=unproven')
  t.equal(shown({ stale: 'kept' }), 'hit; detail=kept')
})
