import t from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'

t.test('a key has the form of a pattern if its parts between colons have', async (t) => {
  const cases: readonly [pattern: string, key: string, values: readonly string[] | undefined][] = [
    ['product:{id}', 'product:42', ['42']],
    ['product:{id}', 'product:', ['']],
    ['product:{id}', 'product', undefined],
    ['product:{id}', 'product:42:1', undefined],
    ['product:{id}', 'products:42', undefined],
    ['product:{id}', 'other:42', undefined],
    ['order:{tenant}:{id}', 'order:t:1', ['t', '1']],
    ['order:{tenant}:{id}', 'order:t', undefined],
    ['order:{tenant}:lines:{id}', 'order:t:lines:1', ['t', '1']],
    ['order:{tenant}:lines:{id}', 'order:t:line:1', undefined],
    ['order:{tenant}:lines:{id}', 'order:t:lines2:1', undefined],
    ['a:b{x}', 'a:bc', ['c']],
    ['a:b{x}', 'a:c', undefined],
    ['p{x}', 'p1', ['1']],
    ['p{x}', 'q1', undefined],
    ['a:{x}:', 'a:1:', ['1']],
    ['a:{x}:', 'a:1', undefined],
  ]
  for (const [text, key, values] of cases) {
    const pattern = new KeyPattern(text)
    t.strictSame(pattern.valuesIn(key), values, `${key} in ${text}`)
    t.equal(pattern.covers(key), values !== undefined, `${text} covers ${key}`)
  }
})

t.test('the pieces of a pattern, put together, are the pattern', async (t) => {
  const pattern = new KeyPattern('order:{tenant}:l{id}:x')
  t.strictSame(pattern.pieces, [
    { literal: 'order', column: undefined },
    { literal: ':', column: 'tenant' },
    { literal: ':l', column: 'id' },
    { literal: ':x', column: undefined },
  ])
  t.equal(pattern.text, 'order:{tenant}:l{id}:x')
})
