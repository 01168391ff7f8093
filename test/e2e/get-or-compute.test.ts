import t from 'tap'
import { createClient } from '../../clients/node/src/index.js'
import { serve, untilLive } from '../support/child-process.js'
import { cacheDatabase } from '../support/database.js'
import { eventually } from '../support/eventually.js'

t.test('values are computed while the sidecar is frozen, and stored again after it goes on', async (t) => {
  const { url: databaseUrl } = await cacheDatabase(t)
  const sidecar = await serve(t, { DATABASE_URL: databaseUrl })
  await untilLive(sidecar)
  // Without a time limit, a call that waited for the frozen sidecar would not end.
  const app = createClient({ url: sidecar.client.base, timeoutMs: Number.POSITIVE_INFINITY })
  t.teardown(() => app.close())
  t.equal(await app.getOrCompute('before', () => 0), 0)
  sidecar.kill('SIGSTOP')
  t.teardown(() => sidecar.kill('SIGCONT'))
  for (let call = 1; call < 10; call++) t.equal(await app.getOrCompute('before', () => call), call)
  sidecar.kill('SIGCONT')
  await eventually(async () => (await app.getOrCompute('before', () => 10)) === 0)
  t.equal(await app.getOrCompute('after', () => 2), 2)
  t.equal(await app.get('after'), 2)
})
