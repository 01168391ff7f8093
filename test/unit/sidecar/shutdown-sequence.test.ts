import t from 'tap'
import { runInOrder } from '../../../src/sidecar/shutdown-sequence.js'
import { Gate } from '../../support/gate.js'

t.test('the steps of a shutdown run one after the other', async (t) => {
  const done: string[] = []
  const step = (name: string) => async () => {
    done.push(`${name} begins`)
    await new Promise(setImmediate)
    done.push(`${name} ends`)
  }
  const late: string[] = []
  await runInOrder({ a: step('a'), none: () => undefined, b: step('b') }, 60_000, (name) => late.push(name))
  t.strictSame(done, ['a begins', 'a ends', 'b begins', 'b ends'])
  t.strictSame(late, [])
})

t.test('a step that takes too long is reported, and no longer waited for', async (t) => {
  const [gate, late] = [new Gate(), [] as string[]]
  await runInOrder({ quick: async () => undefined, slow: () => gate.pass() }, 1, (name) => late.push(name))
  t.strictSame(late, ['slow'])
  gate.open()
})

t.test('a step that fails ends the shutdown with its error', async (t) => {
  const failure = new Error('a mistake of ours')
  await t.rejects(
    runInOrder({ failing: () => Promise.reject(failure), after: async () => t.fail() }, 60_000, () =>
      t.fail(),
    ),
    failure,
  )
})

t.test('once all steps have ended, the time to be late no longer runs', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  let during = 0
  const look = async () => {
    during = timers()
  }
  await runInOrder({ look }, 60_000, () => t.fail())
  t.equal(during, before + 1)
  t.equal(timers(), before)
  await t.rejects(
    runInOrder({ failing: () => Promise.reject(new Error('a mistake of ours')) }, 60_000, () => t.fail()),
  )
  t.equal(timers(), before, 'nor if one has failed')
})
