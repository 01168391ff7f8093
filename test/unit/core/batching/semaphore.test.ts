import t from 'tap'
import { Semaphore } from '../../../../src/core/batching/semaphore.js'

t.test('a semaphore admits its number at once and the others in their order', async (t) => {
  const slots = new Semaphore(2)
  const started: string[] = []
  for (const name of ['a', 'b', 'c', 'd']) slots.acquire(() => started.push(name))
  t.same(started, ['a', 'b'])
  slots.release()
  t.same(started, ['a', 'b', 'c'])
  slots.release()
  t.same(started, ['a', 'b', 'c', 'd'])
  slots.release()
  slots.release()
  slots.acquire(() => started.push('e'))
  slots.acquire(() => started.push('f'))
  slots.acquire(() => started.push('g'))
  t.same(started.slice(4), ['e', 'f'], 'and no more slots than there were')
})

t.test('a semaphore tells how many of its slots are taken', async (t) => {
  const slots = new Semaphore(2)
  const start = () => undefined
  t.same([slots.taken, slots.isIdle], [0, true])
  slots.acquire(start)
  t.same([slots.taken, slots.isIdle], [1, false])
  slots.acquire(start)
  slots.acquire(start)
  t.same([slots.taken, slots.isIdle], [2, false])
  slots.release()
  t.same([slots.taken, slots.isIdle], [2, false], 'the one that waited has it')
  slots.release()
  slots.release()
  t.same([slots.taken, slots.isIdle], [0, true])
})
