import t from 'tap'
import { preferences } from '../../../src/http/routes/entry/prefer.js'

const prefer = (text: string) => preferences({ get: () => text })

t.test('a client may be willing to wait for longer than the service is', async (t) => {
  t.same(prefer('wait=60'), { leaseMs: undefined, waitMs: 60_000 })
  t.same(prefer('respond-async, wait=86400'), { leaseMs: undefined, waitMs: 60_000 })
  t.same(prefer('fill-lease=300, wait=999999999'), { leaseMs: 300_000, waitMs: 60_000 })
  for (const text of ['wait="55', 'wait=55"', 'wait="'])
    t.throws(() => prefer(text), { message: /^Prefer: wait: must be a number of seconds/ }, text)
  t.same(prefer('x\\, wait=5'), { leaseMs: undefined, waitMs: 5_000 }, 'it escapes nothing here')
  t.throws(() => prefer('wait=-1'), { message: /^Prefer: wait: must be a number of seconds/ })
  t.throws(() => prefer('fill-lease=301'), { message: /^Prefer: fill-lease: must be .* from 1 to 300/ })
})
