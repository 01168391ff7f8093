import fc from 'fast-check'
import t from 'tap'
import type { Clock } from '../../../../src/core/ports.js'
import { SimulatedDatabase } from '../../../support/simulated-database.js'
import { SimulatedFollower } from '../../../support/simulated-follower.js'
import { maxStalenessMs, SimulatedSidecar } from '../../../support/simulated-sidecar.js'
import { turn } from '../../../support/turn.js'

/**
 * Random schedules of two clients that keep values by P19, over two sidecars behind a balancer. After every step,
 * nothing that a client would serve from its own memory is older than the bound. When everything has arrived, it is
 * what the database has.
 */

const keys = ['a', 'b'] as const
/** A fifth of those of property.test.ts, which has more that can go wrong. */
const runs = Number(process.env.PROPERTY_RUNS ?? 500) / 5
const seed = process.env.PROPERTY_SEED

const key = fc.constantFrom(...keys)
const one = fc.nat(1)
const usual = [
  {
    weight: 30,
    arbitrary: fc.record({ do: fc.constant('read' as const), follower: one, sidecar: one, key }),
  },
  {
    weight: 30,
    arbitrary: fc.record({ do: fc.constant('response' as const), follower: one, which: fc.nat(3) }),
  },
  { weight: 15, arbitrary: fc.record({ do: fc.constant('send' as const), follower: one }) },
  { weight: 30, arbitrary: fc.record({ do: fc.constant('receive' as const), follower: one }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('ask' as const), follower: one }) },
  { weight: 15, arbitrary: fc.record({ do: fc.constant('prove' as const), follower: one }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('follow' as const), follower: one, sidecar: one }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('write' as const), sidecar: one, key }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('write by SQL' as const), key }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('delete by SQL' as const), key }) },
  { weight: 25, arbitrary: fc.record({ do: fc.constant('effect' as const), sidecar: one }) },
  {
    weight: 25,
    arbitrary: fc.record({ do: fc.constant('answer' as const), sidecar: one, which: fc.nat(3) }),
  },
  { weight: 25, arbitrary: fc.record({ do: fc.constant('deliver' as const), sidecar: one }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('send probe' as const), sidecar: one }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('probe arrives' as const), sidecar: one }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('connect' as const), sidecar: one }) },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(10, 700, 1_600) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('everything arrives' as const) }) },
]
const troubles = [
  [
    { weight: 2, arbitrary: fc.record({ do: fc.constant('silence' as const), sidecar: one }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('lose' as const), sidecar: one }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('reconnect' as const), sidecar: one, key }) },
  ],
  [{ weight: 3, arbitrary: fc.record({ do: fc.constant('rewrite everything' as const) }) }],
  [{ weight: 6, arbitrary: fc.record({ do: fc.constant('set silently' as const), key }) }],
  [{ weight: 6, arbitrary: fc.record({ do: fc.constant('fail over' as const), lost: fc.nat(3) }) }],
]
const schedules = fc
  .subarray(troubles)
  .chain((some) =>
    fc.array(fc.oneof(...usual, ...some.flat()), { minLength: 100, maxLength: 250, size: 'max' }),
  )
type Step = typeof schedules extends fc.Arbitrary<(infer T)[]> ? T : never

class Schedule {
  #nowMs = 0
  #values = 0
  readonly #clock: Clock = { now: () => this.#nowMs, defer: queueMicrotask }
  readonly #database = new SimulatedDatabase(() => this.#nowMs, { salted: true })
  readonly #sidecars = [{}, { capacity: 1 }].map(
    (options) => new SimulatedSidecar(this.#database, this.#clock, options),
  )
  readonly #followers = this.#sidecars.map((sidecar) => new SimulatedFollower(sidecar, this.#clock))
  readonly #probesMs = new Map<SimulatedSidecar, number>()
  /** Number of values that were served by followers. */
  served = 0

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      await this.#take(step)
      await turn()
      this.#check(this.#nowMs - maxStalenessMs, 'stale')
    }
    await this.#everythingArrives()
  }

  async #everythingArrives(): Promise<void> {
    this.#probesMs.clear()
    do {
      for (const sidecar of this.#sidecars) await sidecar.heal(turn)
    } while (this.#sidecars.some(({ isQuiet }) => !isQuiet))
    for (const follower of this.#followers) follower.heal()
    this.#check(this.#nowMs, 'not what the database has')
  }

  #check(sinceMs: number, fault: string): void {
    for (const follower of this.#followers) {
      for (const name of keys) {
        const kept = follower.fresh(name)
        if (kept === undefined) continue
        this.served++
        const reigns = this.#database.reigns(name)
        if (!reigns.some(({ value, untilMs }) => value === kept.value && untilMs >= sinceMs))
          throw new Error(`${name} is ${kept.value} at ${this.#nowMs}: ${fault}`)
      }
    }
  }

  async #take(step: Step): Promise<void> {
    const sidecar = this.#sidecars['sidecar' in step ? step.sidecar : 0] as SimulatedSidecar
    const follower = this.#followers['follower' in step ? step.follower : 0] as SimulatedFollower
    switch (step.do) {
      case 'read':
        return follower.read(step.key, sidecar)
      case 'response':
        return follower.respond(step.which)
      case 'send':
        return follower.send()
      case 'receive':
        return follower.receive()
      case 'ask':
        return follower.ask()
      case 'prove':
        return follower.prove()
      case 'follow':
        return follower.reconnect(sidecar)
      case 'write':
        sidecar.cache.set(step.key, this.#unique()).catch(() => undefined)
        return
      case 'write by SQL':
        this.#database.write([{ key: step.key, value: this.#unique() }])
        return
      case 'delete by SQL':
        this.#database.remove([step.key])
        return
      case 'rewrite everything':
        return this.#database.rewriteEverything(() => this.#unique())
      case 'set silently':
        return this.#database.setSilently(step.key, this.#unique())
      case 'fail over':
        this.#database.failOver(step.lost)
        return
      case 'effect':
        return sidecar.effect()
      case 'answer':
        return sidecar.answer(step.which)
      case 'deliver':
        return sidecar.deliver()
      case 'send probe':
        if (sidecar.isListening) this.#probesMs.set(sidecar, this.#nowMs)
        return
      case 'probe arrives': {
        const sentMs = this.#probesMs.get(sidecar)
        if (sentMs !== undefined) sidecar.probe(sentMs)
        this.#probesMs.delete(sidecar)
        return
      }
      case 'connect':
        this.#probesMs.delete(sidecar)
        return sidecar.connect()
      case 'reconnect':
        this.#probesMs.delete(sidecar)
        return sidecar.reconnect(turn, () => this.#database.write([{ key: step.key, value: this.#unique() }]))
      case 'silence':
        return sidecar.silence()
      case 'lose':
        return sidecar.lose()
      case 'wait':
        this.#nowMs += step.ms
        return
      case 'everything arrives':
        return this.#everythingArrives()
    }
  }

  #unique(): string {
    return String(++this.#values)
  }
}

t.test(
  `what clients keep themselves is never staler than the bound, in ${runs} random schedules`,
  async (t) => {
    let served = 0
    const outcome = await fc.check(
      fc.asyncProperty(schedules, async (steps) => {
        const schedule = new Schedule()
        await schedule.run(steps)
        served += schedule.served
      }),
      {
        numRuns: runs,
        includeErrorInReport: true,
        ...(seed ? { seed: Number(seed) } : { endOnFailure: true }),
      },
    )
    t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? `seed ${outcome.seed}`)
    t.ok(served > runs, `values were served: ${served}`)
  },
)
