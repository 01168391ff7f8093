import t from 'tap'
import { dataLimits, opsLimits } from '../../../../src/http/server/connection-limits.js'
import { connectionShares, openFilesLimit } from '../../../../src/http/server/open-files-limit.js'

t.test('the limit on open files is shared, and leaves a part to the operations listener', async (t) => {
  const wanted = { data: 10_000, ops: 1_000 }
  t.strictSame(connectionShares(wanted, Number.POSITIVE_INFINITY), wanted)
  t.strictSame(connectionShares(wanted, 64 + 11_000), wanted)
  t.strictSame(connectionShares(wanted, 1_024), { data: 840, ops: 120 })
  t.strictSame(connectionShares({ data: 5, ops: 1_000 }, 1_024), { data: 5, ops: 120 })
  for (const few of [0, 64, 65, 66])
    t.strictSame(connectionShares(wanted, few), { data: 1, ops: 1 }, `${few} files`)
})

t.test('the limit of this process is known', { skip: process.platform !== 'linux' }, async (t) => {
  t.ok(openFilesLimit() >= 256)
})

t.test('a probe gets a connection, whoever holds the others open', async (t) => {
  t.match(opsLimits, { evicts: 'any', idleTimeoutMs: 10_000 })
  t.match(dataLimits, { evicts: 'idle', idleTimeoutMs: 0 })
})
