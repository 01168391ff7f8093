import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { setRequest } from '../../../src/http/routes/set-request.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

t.test('a value does not hold the body that it came in', async (t) => {
  const body = Buffer.from(`{"key":"k","value":{"long":"enough to be sliced, é"}${' '.repeat(1_000_000)}}`)
  collect()
  const before = process.memoryUsage().heapUsed
  const values = Array.from({ length: 50 }, () => setRequest(body).value)
  collect()
  t.ok(process.memoryUsage().heapUsed - before < 5_000_000)
  t.same(new Set(values), new Set(['{"long":"enough to be sliced, é"}']))
})
