import t, { type Test } from 'tap'
import type { Database } from '../../../src/postgres/pool/database.js'
import { ReadReplicas } from '../../../src/postgres/replicas/read-replicas.js'
import { DrivenClock } from '../../support/driven-clock.js'
import { recordedPauses } from '../../support/recorded-pauses.js'
import { recordingLog } from '../../support/recording-log.js'

/** Replicas that are asked in this order, each of which has replayed the log once it was asked so many times. */
function replicasOf(t: Test, times: readonly number[]) {
  const asked: number[] = []
  const replicas = new ReadReplicas({
    primary: { read: async () => [{ epoch: 'e', bytes: '100' }] } as unknown as Database,
    replicas: times.map(
      (count, index) =>
        ({
          read: async () => {
            asked.push(index)
            const isThere = asked.filter((one) => one === index).length >= count
            return [{ server: 'one', epoch: 'e', replayed: isThere ? '100' : '99' }]
          },
          close: async () => undefined,
        }) as unknown as Database,
    ),
    schema: { get: () => 'public' },
    clock: new DrivenClock(),
    log: recordingLog().log,
    maxReadBytes: 1_000,
  })
  t.teardown(() => replicas.close())
  return { replicas, asked }
}

t.test('a replica that is behind is asked again after pauses that double from 5 ms to 250 ms', async (t) => {
  const pauses = recordedPauses(t)
  await replicasOf(t, [9]).replicas.catchUp()
  t.strictSame(pauses, [5, 10, 20, 40, 80, 160, 250, 250])
})

t.test('each sidecar begins with a replica at random', async (t) => {
  for (const [random, first] of [
    [0, 0],
    [0.34, 1],
    [0.99, 2],
  ] as const) {
    t.intercept(Math, 'random', { value: () => random })
    const { replicas, asked } = replicasOf(t, [1, 1, 1])
    await replicas.catchUp()
    t.strictSame(asked, [first])
  }
})
