import t from 'tap'
import type { Binding } from '../../../../src/core/bindings/bindings.js'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { requireUnbound } from '../../../../src/core/bindings/require-unbound.js'
import { SeenBindings } from '../../../../src/core/bindings/seen-bindings.js'

const binding = (text: string, fingerprint = 'f'): Binding => ({
  pattern: new KeyPattern(text),
  fingerprint,
  viaOutbox: false,
})

t.test('bindings that are new, gone or changed are named, and no others', async (t) => {
  const seen = new SeenBindings()
  const changes = (...bindings: readonly Binding[]) => seen.seen(bindings).map(({ text }) => text)
  t.same(changes(), [])
  t.same(changes(binding('a:{x}'), binding('b:{x}')), ['a:{x}', 'b:{x}'])
  t.same(changes(binding('a:{x}'), binding('b:{x}')), [])
  t.same(changes(binding('a:{x}', 'other'), binding('b:{x}')), ['a:{x}'], 'a changed fingerprint')
  t.same(changes(binding('a:{x}', 'other')), ['b:{x}'], 'a binding that is gone')
  t.same(changes(binding('a:{x}', 'other'), binding('b:{x}')), ['b:{x}'], 'one that is back')
  t.same(changes(), ['a:{x}', 'b:{x}'])
})

t.test('a write of a key that a binding covers is refused, and names the binding', async (t) => {
  const bindings = [binding('a:{x}')]
  const known = { of: (key: string) => bindings.find(({ pattern }) => pattern.covers(key)) }
  t.throws(() => requireUnbound(known, 'a:1'), {
    code: 'bound-key',
    key: 'a:1',
    explanation: /bound to rows of tables by a:\{x\}: change these instead/,
  })
  t.doesNotThrow(() => requireUnbound(known, 'b:1'))
})
