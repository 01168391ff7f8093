/**
 * The promises of docs/protocol.md under random schedules: three sidecars, statements that wait before they take
 * effect, late answers, changes that are late or lost, links that are cut unnoticed, versions out of commit order, a
 * database that is unavailable, and failovers that lose writes.
 *
 * property.test.ts is not enough. Two mistakes are found here within 400 schedules, and not there within 1,000: a fill
 * that began before the feed had caught up is kept ("a fill begun before the feed had caught up puts" in
 * test/mutants/mutants.mjs), and "a fill is joined after a change". This test also has versions out of commit order,
 * checks that a sidecar never goes back behind its own writes, and checks that nothing is left over after a recovery.
 *
 * A failure names its seed. SCHEDULE_SEED=n runs that one alone and prints its steps.
 */
import t from 'tap'
import type { Value, Version } from '../../../../src/core/entry.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import type { Gate } from '../../../support/gate.js'
import { type ModelSidecar, modelSidecar } from '../../../support/model-sidecar.js'
import { type Backup, ModelStore, type Operation } from '../../../support/model-store.js'
import { Random } from '../../../support/random.js'
import { turn } from '../../../support/turn.js'

const keys = ['a', 'b']
/** Short, so that a schedule outlasts it many times. */
const maxStalenessMs = 500
const moments = ['before', 'after'] as const
const schedules = 400
const stepsPerSchedule = 150

/** Value of a key in the database from one moment to another, in commit order. */
interface Held {
  readonly value: Value | undefined
  readonly fromMs: number
  untilMs: number
}

interface Node extends ModelSidecar {
  readonly name: string
  session: 'none' | 'listening' | 'cut'
  /** The database has failed over, and this sidecar has not caught up since. */
  /** Lower bound by key: reads that begin now must see a value from here on. */
  readonly floor: Map<string, number>
  /** Pending values by key of which no later write has been acknowledged. */
  readonly kept: Map<string, Set<Value | undefined>>
}

class Schedule {
  readonly violations: string[] = []
  readonly steps: string[] = []
  readonly #random: Random
  readonly #clock = new DrivenClock()
  readonly #store = new ModelStore(this.#clock)
  readonly #history = new Map<string, Held[]>(
    keys.map((key) => [key, [{ value: undefined, fromMs: 0, untilMs: Number.POSITIVE_INFINITY }]]),
  )
  readonly #nodes: Node[]
  readonly #gates: Gate[] = []
  readonly #slow: Version[] = []
  readonly #troubles: { readonly links: boolean; readonly outages: boolean; readonly histories: boolean }
  #backup: Backup | undefined
  #values = 0
  #epochs = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#troubles = { links: (seed & 1) > 0, outages: (seed & 2) > 0, histories: (seed & 4) > 0 }
    this.#store.onCommit((key, value) => this.#committed(key, value))
    this.#nodes = ['x', 'y', 'z'].map((name) => ({
      ...modelSidecar({ maxStalenessMs }, { clock: this.#clock, store: this.#store }),
      name,
      session: 'none' as const,
      floor: new Map(keys.map((key) => [key, 0])),
      kept: new Map(keys.map((key) => [key, new Set<Value | undefined>()])),
    }))
  }

  async run(): Promise<void> {
    for (let step = 0; step < stepsPerSchedule; step++) {
      this.#step()
      await turn()
      for (const node of this.#nodes) for (const key of keys) this.#checkHit(node, key)
    }
    await this.#recover()
  }

  #step(): void {
    const random = this.#random
    const node = random.pick(this.#nodes)
    const key = random.pick(keys)
    const [name, action] = random.pick(this.#actions(node, key))
    this.steps.push(`${this.#clock.now()} ${node.name} ${key} ${name}`)
    action()
  }

  /**
   * Returns the possible actions; a likelier one is listed more than once. With all kinds of trouble at once little
   * is ever cached, so each seed has its own.
   */
  #actions(node: Node, key: string): (readonly [name: string, action: () => void])[] {
    const random = this.#random
    const store = this.#store
    const feed = [
      ['deliver one', () => node.feed.deliver(1)],
      ['deliver', () => node.feed.deliver()],
      ['probe', () => void node.feed.probe()],
      ['connect', () => this.#connect(node)],
    ] as const
    const use = [
      ['get', () => this.#get(node, key)],
      ['get', () => this.#get(node, key)],
      ['set', () => this.#set(node, key)],
      ['sql set', () => store.setBySql(key, this.#newValue(), this.#version())],
      ['advance', () => this.#clock.advance(random.integer(0, 499))],
      ['hold', () => this.#hold()],
      ['open', () => this.#gates.splice(random.integer(0, this.#gates.length - 1), 1)[0]?.open()],
    ] as const
    const seldom = [
      ['delete', () => this.#delete(node, key)],
      ['sql delete', () => store.deleteBySql(key)],
      ['sql begin', () => this.#slow.push(store.stamp())],
      ['sql begin', () => this.#slow.push(store.stamp())],
      ['sql many', () => store.setManyBySql({ [key]: this.#newValue() })],
    ] as const
    const links = [
      ['lose', () => this.#lose(node)],
      ['lose', () => this.#lose(node)],
      ['cut', () => this.#cut(node)],
    ] as const
    const outages = [
      ['stop', () => random.chance(0.5) && store.stop()],
      ['restart', () => store.restart()],
      [
        'unknown',
        () => store.fail(random.pick(['write', 'remove']), 'outcome-unknown', random.pick(moments)),
      ],
      ['unknown', () => random.chance(0.2) && store.fail('settle', 'outcome-unknown', random.pick(moments))],
    ] as const
    const histories = [
      ['backup', () => (this.#backup = store.backup())],
      ['fail over', () => random.chance(0.3) && this.#failOver()],
    ] as const
    const { links: withLinks, outages: withOutages, histories: withHistories } = this.#troubles
    return [
      ...feed,
      ...use,
      ...use,
      ...seldom,
      ...(withLinks ? links : []),
      ...(withOutages ? outages : []),
      ...(withHistories ? histories : []),
    ]
  }

  #newValue(): Value {
    return String(++this.#values)
  }

  /** Now and then that of a transaction which has been slow to commit. */
  #version(): { version?: Version } {
    const version = this.#random.chance(0.5) ? this.#slow.shift() : undefined
    return version === undefined ? {} : { version }
  }

  #hold(): void {
    const operations: Operation[] = ['read', 'read', 'write', 'remove', 'versions', 'position']
    if (this.#troubles.outages) operations.push('settle')
    this.#gates.push(this.#store.hold(this.#random.pick(operations), this.#random.pick(moments)))
  }

  // --- The feed ---

  #connect(node: Node): void {
    if (node.session !== 'none') return
    node.session = 'listening'
    node.feed.connect().then(
      () => {},
      () => this.#lose(node),
    )
  }

  #cut(node: Node): void {
    if (node.session !== 'listening') return
    node.session = 'cut'
    node.feed.cut()
  }

  #lose(node: Node): void {
    if (node.session === 'none') return
    node.session = 'none'
    node.feed.lose()
  }

  /** Makes every link dead, unnoticed; data that was not in the backup is gone. */
  #failOver(): void {
    if (this.#backup === undefined) return
    for (const node of this.#nodes) {
      this.#cut(node)
    }
    this.#slow.length = 0
    this.#store.failOver(`history ${++this.#epochs}`, this.#backup)
    for (const key of keys) {
      this.#committed(key, this.#store.valueOf(key))
      for (const node of this.#nodes) node.floor.set(key, 0)
    }
  }

  // --- What the history says ---

  #historyOf(key: string): Held[] {
    return this.#history.get(key) as Held[]
  }

  #committed(key: string, value: Value | undefined): void {
    const history = this.#historyOf(key)
    const nowMs = this.#clock.now()
    const last = history.at(-1)
    if (last) last.untilMs = nowMs
    history.push({ value, fromMs: nowMs, untilMs: Number.POSITIVE_INFINITY })
  }

  /** Did the database hold this at some moment from `sinceMs` to now, and not before `floor`? */
  #wasHeld(key: string, value: Value | undefined, sinceMs: number, floor: number): boolean {
    return this.#historyOf(key).some(
      (held, index) => index >= floor && held.value === value && held.untilMs >= sinceMs,
    )
  }

  #checkHit(node: Node, key: string): void {
    const recalled = node.cache.recall(key)
    if (recalled === undefined || recalled.stale) return
    const { value } = recalled
    const nowMs = this.#clock.now()
    if (!this.#wasHeld(key, value, nowMs - maxStalenessMs, 0)) {
      this.#violation(`${node.name} serves ${key} = ${value} as fresh, older than the bound`)
    } else if (!this.#wasHeld(key, value, 0, node.floor.get(key) as number)) {
      this.#violation(`${node.name} serves ${key} = ${value}, older than what was written through it`)
    }
  }

  #violation(what: string): void {
    this.violations.push(`${this.#clock.now()} ${what}`)
  }

  // --- Requests ---

  #get(node: Node, key: string): void {
    const sinceMs = this.#clock.now() - maxStalenessMs
    const floor = node.floor.get(key) as number
    const kept = new Set(node.kept.get(key))
    node.cache.get(key).then(
      ({ value, stale }) => {
        const wasKept = kept.has(value) || node.kept.get(key)?.has(value)
        if (!this.#wasHeld(key, value, stale ? 0 : sinceMs, floor) && !(stale && wasKept)) {
          this.#violation(`${node.name} answers ${key} = ${value}${stale ? ', stale' : ''}`)
        }
      },
      () => undefined,
    )
  }

  #set(node: Node, key: string): void {
    const value = this.#newValue()
    this.#write(
      node,
      key,
      value,
      node.cache.set(key, value).then(({ written }) => written),
    )
  }

  #delete(node: Node, key: string): void {
    // Without `stored` it may have been kept.
    this.#write(
      node,
      key,
      undefined,
      node.cache.delete(key).then(({ stored }) => stored),
    )
  }

  #write(node: Node, key: string, value: Value | undefined, result: Promise<boolean>): void {
    const keptBefore = new Set(node.kept.get(key))
    const begunAt = this.#historyOf(key).length - 1
    result.then(
      (written) => {
        const kept = node.kept.get(key) as Set<Value | undefined>
        if (!written) {
          kept.add(value)
          return
        }
        for (const earlier of keptBefore) kept.delete(earlier)
        // A write that shared its statement with a later one is not in the history: -1.
        const index = this.#historyOf(key).findIndex((held, at) => at >= begunAt && held.value === value)
        node.floor.set(key, Math.max(node.floor.get(key) as number, index))
      },
      () => undefined,
    )
  }

  /** Everything works again, and stays that way: all agree with the database, and nothing is left over. */
  async #recover(): Promise<void> {
    this.#store.restart()
    this.#store.clearObstacles()
    for (const gate of this.#gates) gate.open()
    for (const node of this.#nodes) this.#lose(node)
    await turn()
    for (const node of this.#nodes) this.#connect(node)
    await turn()
    for (let rounds = 0; rounds < 2; rounds++) {
      for (const node of this.#nodes) {
        node.feed.probe()()
        await node.cache.get('somebody else')
        await turn()
      }
    }
    for (const { name, cache, feed } of this.#nodes) {
      feed.deliver()
      const { feed: state, pendingWrites, leaseAgeMs } = cache.status()
      if (state !== 'live' || leaseAgeMs !== 0) this.#violation(`${name} is ${state} after all is well`)
      if (pendingWrites !== 0) this.#violation(`${name} still keeps ${pendingWrites} writes`)
      for (const key of keys) {
        for (const when of ['first', 'second']) {
          const { value, stale } = await cache.get(key)
          if (value !== this.#store.valueOf(key) || stale)
            this.#violation(`${name} reads ${key} = ${value}, ${when}`)
        }
      }
    }
  }
}

t.test('the promises hold under random schedules', async (t) => {
  const only = process.env.SCHEDULE_SEED
  const seeds = only ? [Number(only)] : Array.from({ length: schedules }, (_, index) => index + 1)
  for (const seed of seeds) {
    const schedule = new Schedule(seed)
    await schedule.run()
    if (only) for (const step of schedule.steps) t.comment(step)
    if (schedule.violations.length > 0) return t.same(schedule.violations, [], `seed ${seed}`)
  }
  t.pass(`${seeds.length} schedules`)
})
