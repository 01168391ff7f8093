/** When a later position is asked for, from which on the replica may be read. */
import t from 'tap'
import { Semaphore } from '../../../../src/core/batching/semaphore.js'
import { CacheError } from '../../../../src/core/errors.js'
import type { LogPosition, ReplicaAnswer } from '../../../../src/core/ports.js'
import { ReplicaReads } from '../../../../src/core/reads/replica-reads.js'
import { Stats } from '../../../../src/core/stats.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { Gate } from '../../../support/gate.js'
import { turn } from '../../../support/turn.js'

/** Reads from a replica that has replayed everything and holds nothing. */
function replicaReads() {
  const clock = new DrivenClock()
  const stats = new Stats()
  const position: LogPosition = { epoch: '1-00000001', bytes: 1n }
  const counts = { asked: 0, reads: 0 }
  const replica = {
    catchUp: async (): Promise<LogPosition> => ({ ...position }),
    answer: async (): Promise<ReplicaAnswer> => ({ entry: undefined }),
  }
  const model = {
    clock,
    stats,
    counts,
    replica,
    replicaReads: new ReplicaReads({
      replica: {
        catchUp: () => {
          counts.asked++
          return replica.catchUp()
        },
        read: async (wanted) => {
          counts.reads++
          const answer = await replica.answer()
          return new Map(wanted.map(({ key }) => [key, answer]))
        },
      },
      stats,
      clock,
      ...{ maxStatements: 2, maxWaitMs: 1_000, tracer: undefined, valueSlots: new Semaphore(2) },
    }),
    read: (key: string) => model.replicaReads.read(key, { key, held: undefined }),
    /** Lets time pass, and reads a key that was shown since, so that a later position is due. */
    async readShown(afterMs: number) {
      clock.advance(afterMs)
      model.replicaReads.shown('shown')
      void model.read('shown')
      await turn()
      return counts.asked
    },
  }
  return model
}

t.test('a position is asked for at most every 100 ms', async (t) => {
  const { readShown, stats } = replicaReads()
  t.equal(await readShown(0), 1)
  t.equal(await readShown(99), 1)
  t.equal(await readShown(1), 2)
  t.match(stats, { replicaUnavailable: 1, replicaTooRecent: 2 })
})

t.test('one position is asked for at a time, however long that takes', async (t) => {
  const model = replicaReads()
  const gate = new Gate()
  const { catchUp } = model.replica
  model.replica.catchUp = () => gate.pass().then(catchUp)
  t.equal(await model.readShown(0), 1)
  t.equal(await model.readShown(60_000), 1)
  gate.open()
  await turn()
  t.equal(await model.readShown(100), 2)
})

t.test('after a failure, a position is asked for after a second', async (t) => {
  const model = replicaReads()
  model.replica.catchUp = () => Promise.reject(new Error('no replica'))
  t.equal(await model.readShown(0), 1)
  t.equal(await model.readShown(999), 1)
  t.equal(model.replicaReads.isUsable, false)
  t.equal(await model.readShown(1), 2)
})

t.test('a failed read ends the use of its position, and not that of a later one', async (t) => {
  for (const isLater of [false, true]) {
    const model = replicaReads()
    await model.readShown(0)
    const gate = new Gate()
    model.replica.answer = () =>
      gate.pass().then(() => {
        throw new CacheError('store-unavailable', 'no replica')
      })
    const failing = model.read('k')
    await gate.reached
    if (isLater) await model.readShown(100)
    gate.open()
    t.equal(await failing, undefined, 'the primary is asked')
    t.equal(model.replicaReads.isUsable, isLater)
  }
})

t.test('a read that waits for its statement when a doubt comes up goes to the primary', async (t) => {
  const model = replicaReads()
  await model.readShown(0)
  const reading = model.read('k')
  model.replicaReads.doubt()
  t.equal(await reading, undefined)
  t.equal(model.counts.reads, 0)
  t.equal(model.stats.replicaUnavailable, 2)
})
