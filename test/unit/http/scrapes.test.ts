import t from 'tap'
import { Scrapes } from '../../../src/http/ops/scrapes.js'
import { Gate } from '../../support/gate.js'

function scrapesAt(nowMs: () => number, compute: () => Promise<number>) {
  return new Scrapes({ now: nowMs, defer: setImmediate }, async () => ({
    status: await compute(),
    headers: [],
    body: '',
  }))
}

t.test('more than ten scrapes at once or five a second get the previous response again', async (t) => {
  let nowMs = 0
  let computed = 0
  const scrapes = scrapesAt(
    () => nowMs,
    async () => ++computed,
  )
  const ask = async () => (await scrapes.answer()).status
  for (let index = 1; index <= 10; index++) t.equal(await ask(), index)
  for (let index = 0; index < 1_000; index++) t.equal(await ask(), 10)
  nowMs = 199
  t.equal(await ask(), 10)
  nowMs = 201
  t.equal(await ask(), 11)
  nowMs = 60_000
  for (let index = 0; index < 1_000; index++) await ask()
  t.equal(computed, 21)
})

t.test('an error response is not repeated', async (t) => {
  let nowMs = 0
  let fails = true
  const scrapes = scrapesAt(
    () => nowMs,
    async () => {
      if (fails) throw new Error('a bug of ours')
      return 200
    },
  )
  for (let index = 0; index < 10; index++) await t.rejects(scrapes.answer())
  fails = false
  nowMs = 1
  t.equal((await scrapes.answer()).status, 200)
})

t.test('a failure takes nothing from the response to a later scrape', async (t) => {
  const failing = new Gate()
  let computed = 0
  const scrapes = scrapesAt(
    () => 0,
    async () => {
      if (++computed > 1) return computed
      await failing.pass()
      throw new Error('a bug of ours')
    },
  )
  const first = scrapes.answer()
  for (let index = 2; index <= 10; index++) await scrapes.answer()
  failing.open()
  await t.rejects(first)
  t.equal((await scrapes.answer()).status, 10)
  t.equal(computed, 10)
})
