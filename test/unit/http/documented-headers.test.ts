import t from 'tap'
import { responseHeaders } from '../../../src/http/routes/openapi/headers.js'

t.test('what a response header may contain is documented by a pattern, which the example fits', async (t) => {
  const patterns = Object.entries(responseHeaders).flatMap(([name, { schema, example }]) =>
    'pattern' in schema ? [{ name, pattern: new RegExp(schema.pattern, 'u'), example }] : [],
  )
  t.ok(patterns.length >= 8)
  for (const { name, pattern, example } of patterns) {
    t.match(example, pattern, name)
    for (const other of ['', ` ${example}`]) t.notMatch(other, pattern, `${name}: "${other}"`)
  }
})
