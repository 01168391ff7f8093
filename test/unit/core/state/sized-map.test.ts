import t from 'tap'
import { SizedMap } from '../../../../src/core/state/sized-map.js'

t.test('a map has the bytes of the values that it holds', async (t) => {
  const map = new SizedMap<string>((value) => value.length)
  t.same([map.size, map.bytes], [0, 0])
  map.set('a', 'xx')
  map.set('b', 'yyy')
  t.same([map.size, map.bytes], [2, 5])
  t.equal(map.bytesWith('a', 'xxxx'), 7, 'in place of the value under the key')
  t.equal(map.bytesWith('c', 'z'), 6, 'beside the others')
  map.set('a', 'x')
  t.same([map.size, map.bytes], [2, 4])
  map.delete('unknown')
  map.delete('b')
  t.same([map.size, map.bytes, [...map]], [1, 1, [['a', 'x']]])
  map.clear()
  t.same([map.size, map.bytes], [0, 0])
})
