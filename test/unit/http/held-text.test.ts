import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { batchRequest } from '../../../src/http/routes/batch/batch-request.js'
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

t.test('a value of a batch does not hold the other items, also if it makes up most of its own', async (t) => {
  const value = JSON.stringify({ long: 'é'.repeat(500) })
  const item = (key: string, text: string) => `{"op":"put","key":"${key}","value":${text}}`
  const body = Buffer.from(`{"items":[${item('k', value)},${item('l', `"${'x'.repeat(1_000_000)}"`)}]}`)
  collect()
  const before = process.memoryUsage().heapUsed
  const values = Array.from({ length: 50 }, () => batchRequest(body, 2_000_000).writes[0]?.value)
  collect()
  t.ok(process.memoryUsage().heapUsed - before < 5_000_000)
  t.same(new Set(values), new Set([value]))
})
