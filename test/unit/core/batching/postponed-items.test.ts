/** Items that are sent again, because there was no room for their answers. */
import t from 'tap'
import { Batcher } from '../../../../src/core/batching/batcher.js'
import { Semaphore } from '../../../../src/core/batching/semaphore.js'
import { WaitingItems } from '../../../../src/core/batching/waiting-items.js'
import { CacheError } from '../../../../src/core/errors.js'
import { Histogram } from '../../../../src/core/histogram.js'
import { DrivenClock } from '../../../support/driven-clock.js'

interface Item {
  readonly key: string
  readonly value: number
}

const bounds = { maxItems: 10, maxBytes: 1_000, maxWaitMs: 1_000 }
const caller = (origin: string) => ({ resolve: () => undefined, reject: () => undefined, origin })

t.test(
  'a later item takes the place of one that is put back, which keeps its time and callers',
  async (t) => {
    const clock = new DrivenClock()
    const items = new WaitingItems<Item, string>({ clock, ...bounds })
    const sinceMs = clock.now()
    items.add({ key: 'a', value: 1 }, caller('one'))
    items.add({ key: 'b', value: 2 }, caller('two'))
    const again = items.take()
    clock.advance(10)
    items.add({ key: 'c', value: 3 }, caller('three'))
    items.add({ key: 'a', value: 4 }, caller('four'))
    items.putBack(again)
    t.equal(items.size, 3)
    t.strictSame(
      items
        .take()
        .map((waiting) => [
          waiting.item,
          waiting.sinceMs - sinceMs,
          waiting.callers.map(({ origin }) => origin),
        ]),
      [
        [{ key: 'a', value: 4 }, 0, ['one', 'four']],
        [{ key: 'b', value: 2 }, 0, ['two']],
        [{ key: 'c', value: 3 }, 10, ['three']],
      ],
    )
  },
)

t.test('an item that has waited for a lock may be postponed like any other', async (t) => {
  const sent: (readonly string[])[] = []
  const batcher = new Batcher<Item, string>({
    ...bounds,
    clock: new DrivenClock(),
    slots: new Semaphore(1),
    lockSlots: new Semaphore(1),
    operation: 'read',
    sizes: new Histogram([1]),
    isPostponed: (answer) => answer === 'later',
    run: async (items) => {
      sent.push(items.map(({ key }) => key))
      if (sent.length === 1) throw new CacheError('row-locked', 'a lock', { isOfWholeStatement: true })
      return new Map(items.map(({ key }) => [key, sent.length === 2 ? 'later' : 'now']))
    },
  })
  t.match(await batcher.add({ key: 'a', value: 1 }), { answer: 'now' })
  t.strictSame(sent, [['a'], ['a'], ['a']])
})
