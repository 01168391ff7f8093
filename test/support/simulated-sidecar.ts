import { Cache, type CacheOptions } from '../../src/core/cache.js'
import type { Absent } from '../../src/core/entry.js'
import { CacheError } from '../../src/core/errors.js'
import type { Clock, LogPosition, Replica, Store, TransactionWriter, Wanted } from '../../src/core/ports.js'
import type { EntryRemover } from '../../src/core/writes/invalidation.js'
import type { Delivery, SimulatedDatabase } from './simulated-database.js'
import { SimulatedReplica } from './simulated-replica.js'

export const maxStalenessMs = 3_000

/** A statement in flight. It is sent, then takes effect, then is answered. */
interface Statement {
  readonly isWrite: boolean
  /** Belongs to catching up, and not to a request. */
  readonly isRevalidation: boolean
  readonly run: () => unknown
  result: { readonly value: unknown } | undefined
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** A real Cache with a store and a feed of which the test makes every step. */
export class SimulatedSidecar {
  readonly cache: Cache
  readonly #database: SimulatedDatabase
  readonly #clock: Clock
  readonly #statements: Statement[] = []
  /** Two behind one address: each statement may meet the other one. */
  readonly #replicas: readonly SimulatedReplica[]
  #catchingUp:
    | { readonly position: LogPosition; readonly resolve: (position: LogPosition) => void }
    | undefined
  /** Undefined while there is no connection that listens. */
  #deliveries: Delivery[] | undefined

  constructor(database: SimulatedDatabase, clock: Clock, options: Partial<CacheOptions>) {
    this.#database = database
    this.#clock = clock
    const ask = <T>(isWrite: boolean, run: () => T, isRevalidation = false): Promise<T> =>
      new Promise<T>((resolve, reject) => {
        this.#statements.push({
          isWrite,
          isRevalidation,
          run,
          result: undefined,
          resolve: resolve as Statement['resolve'],
          reject,
        })
      })
    const answersTo = (wanted: readonly Wanted[]) => {
      const absent: Absent = { version: undefined, epoch: database.epoch }
      const found = database.read(wanted)
      return new Map(wanted.map(({ key }) => [key, found.get(key) ?? absent]))
    }
    const store: Store = {
      read: (wanted) => ask(false, () => answersTo(wanted)),
      readAtOnce: (wanted) => ask(false, () => answersTo(wanted)),
      versions: (keys, epoch) => ask(false, () => database.versions(keys, epoch), true),
      position: (mark) => ask(false, () => database.position(mark), true),
      lockedOf: async () => new Set(),
      mark: () => ask(true, () => database.mark(), true),
      write: (writes) => ask(true, () => database.write(writes)),
      remove: (keys) => ask(true, () => database.remove(keys)),
      writeIf: (write) => ask(true, () => database.writeIf(write)),
      settle: (writes, onBegun) => {
        const transaction = database.begin()
        onBegun(transaction)
        return ask(true, () => database.settle(writes, transaction), true)
      },
      outcomeOf: (transaction) => ask(false, () => database.outcomeOf(transaction), true),
    }
    const writer: TransactionWriter = {
      writeAll: (writes) => ask(true, () => database.writeAll(writes)),
    }
    const remover: EntryRemover = { remove: () => ask(true, () => database.removeAll()) }
    this.#replicas = [new SimulatedReplica(database), new SimulatedReplica(database)]
    let statements = 0
    const replica: Replica = {
      catchUp: async () => {
        const position = await ask(false, () => ({ epoch: database.epoch, bytes: BigInt(database.commits) }))
        return new Promise((resolve) => {
          this.#catchingUp = { position, resolve }
          this.replay(0, 0)
        })
      },
      read: async (wanted, position) => {
        const answers = await ask(false, () => {
          const one = this.#replicas[statements++ % 2] as SimulatedReplica
          return one.has(position) ? one.read(wanted) : undefined
        })
        if (answers === undefined) throw new Error('it had not replayed the position')
        return answers
      },
    }
    this.cache = new Cache(
      {
        capacity: 100,
        negativeCapacity: 100,
        maxBytes: undefined,
        ttlMs: 1_000_000,
        maxStalenessMs,
        onFeedLoss: 'bypass',
        onWriteOutage: 'local',
        maxPendingBytes: 1_000_000,
        maxStatements: 2,
        maxReads: 9,
        maxWaitMs: 1_000_000,
        idleAfterMs: 0,
        ...options,
      },
      { store, remover, writer, replica, clock, log: { info: () => undefined, warn: () => undefined } },
    )
  }

  get isListening(): boolean {
    return this.#deliveries !== undefined
  }

  /** Nothing is on its way to it or from it. */
  get isQuiet(): boolean {
    return this.#statements.length === 0 && this.#deliveries?.length === 0
  }

  /** LISTEN takes effect and is acknowledged. */
  connect(): void {
    if (this.#deliveries) return
    this.#deliveries = []
    this.#database.listeners.add(this.#deliveries)
    const { fingerprint } = this.#database
    this.#orLose(
      this.cache.listening(this.#clock.now(), {
        fingerprint,
        roundTrip: async () => 0,
        end: () => this.lose(),
      }),
    )
  }

  /** One of the replicas it reads from goes on. */
  replay(which: number, commits: number): void {
    this.#replicas[which]?.replay(commits)
    const { position, resolve } = this.#catchingUp ?? {}
    if (position === undefined || !this.#replicas.some((replica) => replica.has(position))) return
    this.#catchingUp = undefined
    resolve?.(position)
  }

  /** Makes the link silent, unnoticed. */
  silence(): void {
    if (!this.#deliveries) return
    this.#database.listeners.delete(this.#deliveries)
    this.#deliveries.length = 0
  }

  lose(): void {
    this.silence()
    this.#deliveries = undefined
    this.cache.lost('simulated')
  }

  /** The probe reaches the server: its answer is in line behind the changes of before. */
  probe(sentMs: number): void {
    if (this.#deliveries && this.#database.listeners.has(this.#deliveries))
      this.#deliveries.push({ kind: 'probe', sentMs, proof: this.#database.proof() })
  }

  deliver(): void {
    const delivery = this.#deliveries?.shift()
    if (!delivery) return
    try {
      if (delivery.kind === 'probe') this.#orLose(this.cache.proven(delivery.sentMs, delivery.proof))
      else this.#orLose(this.cache.changed(delivery))
    } catch {
      this.lose()
    }
  }

  /** The oldest statement that has not had its effect. */
  effect(): void {
    const statement = this.#statements.find(({ result }) => result === undefined)
    if (statement) statement.result = { value: statement.run() }
  }

  /** One of the statements that have had their effect is answered. */
  answer(which: number): void {
    const done = this.#statements.filter(({ result }) => result !== undefined)
    const statement = done[which % done.length]
    if (!statement) return
    this.#remove(statement)
    statement.resolve(statement.result?.value)
  }

  /** A statement's connection is lost, before or after it had its effect. */
  fail(which: number): void {
    const statement = this.#statements[which % this.#statements.length]
    if (!statement) return
    this.#remove(statement)
    const isUnknown = statement.isWrite && statement.result !== undefined
    statement.reject(new CacheError(isUnknown ? 'outcome-unknown' : 'store-unavailable', 'simulated'))
  }

  /** The session is lost and made anew; everything to do with that goes well, and no request is answered meanwhile. */
  async reconnect(turn: () => Promise<void>, meanwhile: () => void): Promise<void> {
    this.lose()
    meanwhile()
    this.connect()
    await turn()
    for (;;) {
      const statement = this.#statements.find(({ isRevalidation }) => isRevalidation)
      if (!statement) return
      this.#remove(statement)
      statement.resolve((statement.result ?? { value: statement.run() }).value)
      await turn()
    }
  }

  /** Nothing on its way any more; a link that is silent is noticed and made anew. */
  async heal(turn: () => Promise<void>): Promise<void> {
    if (!this.#deliveries || !this.#database.listeners.has(this.#deliveries)) this.lose()
    this.connect()
    await turn()
    while (this.#statements.length > 0 || (this.#deliveries?.length ?? 0) > 0) {
      this.effect()
      this.answer(0)
      this.deliver()
      await turn()
      this.connect()
    }
    this.probe(this.#clock.now())
    this.deliver()
    await turn()
  }

  #remove(statement: Statement): void {
    this.#statements.splice(this.#statements.indexOf(statement), 1)
  }

  #orLose(work: Promise<void> | undefined): void {
    const deliveries = this.#deliveries
    work?.catch(() => {
      if (this.#deliveries === deliveries) this.lose()
    })
  }
}
