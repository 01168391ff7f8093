/** Memory for values of the store is reserved in slots, which reads share with lists. */
import t from 'tap'
import { Gate } from '../../../support/gate.js'
import { liveSidecar } from '../../../support/model-sidecar.js'
import { turn } from '../../../support/turn.js'

t.test('a slot is taken from the begin of a statement with values to its end', async (t) => {
  const { cache } = await liveSidecar({ maxReads: 2 })
  t.equal(cache.status().valueReads, 0)
  const gate = new Gate()
  const first = cache.withValueSlot(() => gate.pass().then(() => 'values'))
  await gate.reached
  t.equal(cache.status().valueReads, 1)
  gate.open()
  t.equal(await first, 'values')
  t.equal(cache.status().valueReads, 0)
  await t.rejects(
    cache.withValueSlot(() => Promise.reject(new Error('no store'))),
    { message: 'no store' },
  )
  t.equal(cache.status().valueReads, 0, 'after a failure, too')
})

t.test('a statement waits until a slot is free, whoever has it', async (t) => {
  const { store, cache } = await liveSidecar({ maxReads: 1 })
  store.setBySql('k', '1')
  const answer = store.hold('read')
  const reading = cache.get('k')
  await answer.reached
  let isRun = false
  const listing = cache.withValueSlot(async () => {
    isRun = true
  })
  await turn()
  t.equal(isRun, false)
  answer.open()
  await reading
  await listing
  t.equal(isRun, true)
})
