import fc from 'fast-check'
import t from 'tap'
import type { Value } from '../../../../src/core/entry.js'
import type { Clock } from '../../../../src/core/ports.js'
import type { ReadOptions } from '../../../../src/core/reads/read-result.js'
import { parseToken } from '../../../../src/core/state/session-token.js'
import { SimulatedDatabase } from '../../../support/simulated-database.js'
import { maxStalenessMs, SimulatedSidecar } from '../../../support/simulated-sidecar.js'
import { turn } from '../../../support/turn.js'

/**
 * Random schedules of reads, writes, changes by SQL, forged notifications, losses, silences and failovers over three
 * sidecars, one database and replicas of it that are behind. Every message and every statement takes its steps one by
 * one, at any time. Checked after every step:
 * - I1: no fresh hit, of an entry or of an absent key, is older than the bound, and no read is older than what it asked
 *   for;
 * - I3: with a token, nobody reads a value from before their own write;
 * - I4: no pending write overwrites what was acknowledged after it was kept;
 * - I5: no fresh hit has expired, and no pending write is served past its time.
 * Checked whenever everything has arrived:
 * - I2: what would be served is what the database has.
 *
 * schedules.test.ts has no replicas, triggers, expiry, forged notifications and tokens. It says why it is needed as
 * well.
 */

const keys = ['a', 'b'] as const
/** Their options: as usual, with room for a single entry, and going on with what is held when the feed is lost. */
const sidecars = [{}, { capacity: 1 }, { onFeedLoss: 'stale' }] as const
const runs = Number(process.env.PROPERTY_RUNS ?? 300)
/** Seed of a run to repeat. A failure is then shrunk, which takes a while. */
const seed = process.env.PROPERTY_SEED

const sidecar = fc.nat(sidecars.length - 1)
const key = fc.constantFrom(...keys)
/** Actions of clients and other writers, and deliveries. */
const usual = [
  { weight: 30, arbitrary: fc.record({ do: fc.constant('read' as const), sidecar, key }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('read strongly' as const), sidecar, key }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('read with token' as const), sidecar, key }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('write' as const), sidecar, key }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('write with ttl' as const),
      sidecar,
      key,
      ttlMs: fc.constantFrom(5, 1_000, 4_000),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('sweep' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), sidecar, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('invalidate' as const), sidecar }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('write by SQL' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete by SQL' as const), key }) },
  { weight: 25, arbitrary: fc.record({ do: fc.constant('effect' as const), sidecar }) },
  { weight: 25, arbitrary: fc.record({ do: fc.constant('answer' as const), sidecar, which: fc.nat(3) }) },
  { weight: 25, arbitrary: fc.record({ do: fc.constant('deliver' as const), sidecar }) },
  {
    weight: 15,
    arbitrary: fc.record({
      do: fc.constant('replay' as const),
      sidecar,
      replica: fc.nat(1),
      commits: fc.nat(2),
    }),
  },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('send probe' as const), sidecar }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('probe arrives' as const), sidecar }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constant('connect' as const), sidecar }) },
  {
    weight: 16,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(10, 1_600, 1_600) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('everything arrives' as const) }) },
]
const silently = [
  { weight: 10, arbitrary: fc.record({ do: fc.constant('set silently' as const), key }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('read strongly' as const), sidecar, key }) },
]
/** Each schedule has its own choice: with every trouble at once little is ever held, and that hides every mistake. */
const troubles = [
  [
    { weight: 3, arbitrary: fc.record({ do: fc.constant('fail' as const), sidecar, which: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('rewrite everything' as const) }) },
  ],
  [
    { weight: 2, arbitrary: fc.record({ do: fc.constant('silence' as const), sidecar }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('lose' as const), sidecar }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('reconnect' as const), sidecar, key }) },
  ],
  [
    {
      weight: 10,
      arbitrary: fc.record({
        do: fc.constant('forge' as const),
        kind: fc.constantFrom('next version' as const, 'high version' as const, 'everything' as const),
        key: fc.constantFrom(...keys, 'another'),
      }),
    },
  ],
  [
    {
      weight: 10,
      // Lost writes may be repeated: the same versions then stand for other values.
      arbitrary: fc.record({ do: fc.constant('fail over' as const), lost: fc.nat(3), again: fc.boolean() }),
    },
  ],
  silently,
  [
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('toggle trigger' as const),
        trigger: fc.constantFrom(
          'changes the value' as const,
          'leaves the row out' as const,
          'writes the row again' as const,
        ),
      }),
    },
  ],
  [
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('toggle expiry' as const),
        afterMs: fc.constantFrom(1_000, 4_000),
      }),
    },
  ],
]
/**
 * Restores a snapshot. Only versions that never repeat, the position and marks show it. It is not combined with silent
 * changes, because of a known limit:
 *   1. A value is changed without a new version.
 *   2. A sidecar reads it before its next probe sees another fingerprint.
 *   3. A snapshot from before step 1 is restored: the version stands for the old value again, and the fingerprint is
 *      the one that the sidecar saw last.
 *   4. All versions are compared, and are equal.
 */
const rewinding = [
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('rewind' as const), lost: fc.nat(6), again: fc.boolean() }),
  },
]
const schedules = fc.tuple(fc.subarray(troubles), fc.boolean()).chain(([some, salted]) =>
  fc.record({
    salted: fc.constant(salted),
    steps: fc.array(
      fc.oneof(...usual, ...some.flat(), ...(salted && !some.includes(silently) ? rewinding : [])),
      {
        minLength: 100,
        maxLength: 250,
        size: 'max',
      },
    ),
  }),
)
type Step = typeof schedules extends fc.Arbitrary<{ steps: (infer T)[] }> ? T : never

class Schedule {
  #nowMs = 0
  #writes = 0
  #timeline = 0
  readonly #clock: Clock = { now: () => this.#nowMs, defer: queueMicrotask }
  readonly #database: SimulatedDatabase
  readonly #sidecars: readonly SimulatedSidecar[]
  readonly #probesMs = new Map<SimulatedSidecar, number>()
  /** Last token of the client and the reign that its write began, by key. */
  readonly #sessions = new Map<string, { token: string; reign: number; timeline: number }>()
  /** Latest moment at which a pending write may be served, by value, for values with a time to live. */
  readonly #endsMs = new Map<Value, number>()
  readonly violations: string[] = []

  constructor({ salted }: { salted: boolean }) {
    this.#database = new SimulatedDatabase(() => this.#nowMs, { salted })
    this.#sidecars = sidecars.map((options) => new SimulatedSidecar(this.#database, this.#clock, options))
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const one of this.#sidecars) {
      await one.heal(turn)
    }
    for (const one of steps) {
      await this.#take(one)
      await turn()
      for (const one of this.#sidecars) this.#checkFresh(one)
    }
    await this.#everythingArrives()
    this.violations.push(...this.#database.violations)
  }

  /** Lets every fault be noticed and repaired, twice, because the first round causes further changes. */
  async #everythingArrives(): Promise<void> {
    this.#probesMs.clear()
    do {
      for (const one of this.#sidecars) await one.heal(turn)
    } while (this.#sidecars.some(({ isQuiet }) => !isQuiet))
    for (const one of this.#sidecars) this.#checkConverged(one)
  }

  #checkFresh(one: SimulatedSidecar): void {
    for (const name of keys) {
      const hit = this.#freshIn(one, name)
      if (hit && !this.#wasCurrent(name, hit.value, this.#nowMs - maxStalenessMs)) {
        this.violations.push(`I1: ${name} is served as ${hit.value} at ${this.#nowMs}`)
      }
      if (hit?.value !== undefined && this.#database.hasExpired(hit.value))
        this.violations.push(`I5: ${name} is served as ${hit.value}, which has expired, at ${this.#nowMs}`)
    }
  }

  /** Returns what memory would serve as fresh: an entry, or the absence of one. */
  #freshIn(one: SimulatedSidecar, name: string): { readonly value: Value | undefined } | undefined {
    const recalled = one.cache.recall(name)
    return recalled?.stale ? undefined : recalled
  }

  #checkConverged(one: SimulatedSidecar): void {
    for (const name of keys) {
      const hit = this.#freshIn(one, name)
      if (hit && hit.value !== this.#database.value(name)) {
        this.violations.push(
          `I2: ${name} is ${hit.value} here and ${this.#database.value(name)} in the database`,
        )
      }
    }
  }

  /** Returns true if the value was current at some moment since then. */
  #wasCurrent(name: string, value: Value | undefined, sinceMs: number): boolean {
    return this.#database.reigns(name).some((reign) => reign.value === value && reign.untilMs >= sinceMs)
  }

  async #take(one: Step): Promise<void> {
    const target = 'sidecar' in one ? (this.#sidecars[one.sidecar] as SimulatedSidecar) : undefined
    switch (one.do) {
      case 'wait':
        this.#nowMs += one.ms
        return
      case 'write by SQL':
        this.#database.write([{ key: one.key, value: this.#unique() }])
        return
      case 'delete by SQL':
        this.#database.remove([one.key])
        return
      case 'rewrite everything':
        this.#database.rewriteEverything(() => this.#unique())
        return
      case 'fail over':
      case 'rewind': {
        this.#timeline++
        const lost =
          one.do === 'fail over' ? this.#database.failOver(one.lost) : this.#database.rewind(one.lost)
        if (!one.again) return
        for (const name of lost) this.#database.write([{ key: name, value: this.#unique() }])
        return
      }
      case 'set silently':
        this.#database.setSilently(one.key, this.#unique())
        return
      case 'sweep':
        this.#database.sweep()
        return
      case 'toggle trigger':
        this.#database.toggleTrigger(one.trigger)
        return
      case 'toggle expiry':
        this.#database.toggleExpiry(one.afterMs)
        return
      case 'forge':
        this.#database.forge(one.kind, one.key)
        return
      case 'everything arrives':
        await this.#everythingArrives()
        return
    }
    if (target === undefined) return
    switch (one.do) {
      case 'read':
        this.#read(target, one.key, {})
        break
      case 'read strongly':
        this.#read(target, one.key, { strong: true })
        break
      case 'read with token': {
        const session = this.#sessions.get(one.key)
        if (session) this.#read(target, one.key, { token: parseToken(session.token) })
        break
      }
      case 'write':
      case 'write with ttl': {
        const value = this.#unique()
        const options = one.do === 'write' ? {} : { ttlMs: one.ttlMs }
        if (options.ttlMs !== undefined) this.#endsMs.set(value, this.#nowMs + options.ttlMs)
        target.cache.set(one.key, value, options).then(
          (result) => (result.written ? this.#remember(one.key, result.token) : this.#database.kept(value)),
          () => undefined,
        )
        break
      }
      case 'delete':
        target.cache.delete(one.key).then(
          ({ token }) => token && this.#remember(one.key, token),
          () => undefined,
        )
        break
      case 'invalidate':
        this.#invalidate(target)
        break
      case 'effect':
        target.effect()
        break
      case 'answer':
        target.answer(one.which)
        break
      case 'fail':
        target.fail(one.which)
        break
      case 'deliver':
        target.deliver()
        break
      case 'replay':
        target.replay(one.replica, one.commits)
        break
      case 'send probe':
        if (target.isListening) this.#probesMs.set(target, this.#nowMs)
        break
      case 'probe arrives': {
        const sentMs = this.#probesMs.get(target)
        if (sentMs !== undefined) target.probe(sentMs)
        this.#probesMs.delete(target)
        break
      }
      case 'connect':
        this.#probesMs.delete(target)
        target.connect()
        break
      case 'reconnect':
        this.#probesMs.delete(target)
        await target.reconnect(turn, () => this.#database.write([{ key: one.key, value: this.#unique() }]))
        this.#checkConverged(target)
        break
      case 'silence':
        target.silence()
        break
      case 'lose':
        target.lose()
        break
    }
  }

  #read(target: SimulatedSidecar, name: string, wish: ReadOptions): void {
    const askedMs = this.#nowMs
    const session = wish.token ? this.#sessions.get(name) : undefined
    target.cache.get(name, wish).then(
      (read) => {
        if (read.stale === 'kept') {
          const endMs = this.#endsMs.get(read.value ?? '') ?? Number.POSITIVE_INFINITY
          if (endMs <= this.#nowMs)
            this.violations.push(`I5: ${name} is kept as ${read.value} past its time, at ${this.#nowMs}`)
          return
        }
        // Only what was asked of the store after the read arrived is as new as the read.
        const slackMs = read.stale ? Number.POSITIVE_INFINITY : wish.strong ? 0 : maxStalenessMs
        if (!this.#wasCurrent(name, read.value, askedMs - slackMs)) {
          this.violations.push(
            `I1: ${name} was answered with ${read.value}, asked ${askedMs}, answered ${this.#nowMs}`,
          )
        }
        // A write that was lost in a failover belongs to no client's past.
        if (session === undefined || session.timeline !== this.#timeline) return
        const reigns = this.#database.reigns(name).slice(session.reign)
        if (!reigns.some(({ value }) => value === read.value)) {
          this.violations.push(
            `I3: ${name} was answered with ${read.value}, older than the client's own write`,
          )
        }
      },
      () => undefined,
    )
  }

  /** Once an invalidation is acknowledged, its sidecar holds nothing that is older. */
  #invalidate(target: SimulatedSidecar): void {
    const askedMs = this.#nowMs
    target.cache.invalidate({ keys: [], groups: [], prefix: undefined, all: true }).then(
      () => {
        for (const name of keys) {
          const held = target.cache.hit(name)
          if (held && !this.#wasCurrent(name, held.value, askedMs))
            this.violations.push(
              `I1: ${name} is still held with ${held.value}, which was removed at ${askedMs}`,
            )
        }
      },
      () => undefined,
    )
  }

  #remember(name: string, token: string): void {
    const { written } = parseToken(token) ?? {}
    const reign = this.#database
      .reigns(name)
      .findIndex((one) => one.written?.version === written?.version && one.written?.epoch === written?.epoch)
    if (written && reign >= 0) this.#sessions.set(name, { token, reign, timeline: this.#timeline })
  }

  #unique(): Value {
    return String(++this.#writes)
  }
}

t.test(
  `I1 staleness, I2 convergence, I3 sessions, I4 pending writes, I5 expiry hold in ${runs} random schedules`,
  async (t) => {
    const outcome = await fc.check(
      fc.asyncProperty(schedules, async ({ salted, steps }) => {
        const schedule = new Schedule({ salted })
        await schedule.run(steps)
        const [violation] = schedule.violations
        if (violation) throw new Error(violation)
      }),
      {
        numRuns: runs,
        includeErrorInReport: true,
        ...(seed ? { seed: Number(seed) } : { endOnFailure: true }),
      },
    )
    t.notOk(outcome.failed, fc.defaultReportMessage(outcome) ?? `seed ${outcome.seed}`)
  },
)
