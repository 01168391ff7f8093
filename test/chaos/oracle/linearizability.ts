/**
 * Was there one order of all operations on a key that explains what everybody saw, in which each takes effect
 * at one moment between its call and its return?
 *
 * The algorithm is Wing and Gong's search (J. Par. Distr. Comp. 1993) with Lowe's memoisation and in his just-in-time
 * form ("Testing for linearizability", 2017): calls and returns are gone through in the order of time; for
 * every configuration that may be the true one (the register's value, and which of the pending operations have
 * taken effect already) the operation that returns is made to take effect now, if it has not, after any
 * sequence of other pending ones. Configurations reached twice are explored once. When none is left, there is no
 * such order.
 *
 * It runs as the operations come in, with nothing to keep but what is pending: a moment is gone through when
 * everything called before it has ended. Three things make it small for a register with unique values, and
 * lose no order:
 *
 * - A pending read takes effect as soon as its value is there: it changes nothing, so waiting gains nothing.
 * - A write of unknown outcome takes effect only where a pending read has seen its value. Elsewhere it can as
 *   well come later, or never. There is no end to how much later.
 * - Unknown deletes are all alike: they are counted.
 * - A value that has been overwritten never comes back, so its expiry takes effect at once, and changes nothing.
 *
 * The number of configurations has a bound. Past it the key is `undecided` until nothing is pending.
 */

export type RegisterValue = string | null

export interface Operation {
  /** `expire`: the value is removed, if it is still there. */
  readonly kind: 'read' | 'write' | 'expire'
  readonly invokeMs: number
  /** Client of the operation, for people. */
  readonly by: string
  value: RegisterValue
  returnMs: number
  /** `known`: it took effect before its return. `unknown`: later, or never. `void`: never. */
  fate: 'pending' | 'known' | 'unknown' | 'void'
}

/** `any`: nothing is known of the value; the first read tells. */
const any = Symbol('any')

interface Configuration {
  readonly value: RegisterValue | typeof any
  /** One bit for each pending operation that has taken effect. */
  readonly done: number
  /** The unknown writes and the number of unknown deletes that have taken effect. */
  readonly used: readonly Operation[]
  readonly deletes: number
}

export interface LinearizabilityOptions {
  readonly initial: RegisterValue
  /** Called with the operation that no order explains, and what was gone through before it. */
  readonly onViolation: (operation: Operation, before: readonly Operation[]) => void
  readonly maxConfigurations?: number
}

const slots = 30
const remembered = 24

/** Fates of what is pending when another history begins. */
const fateAtEnd = { write: 'unknown', expire: 'known', read: 'void' } as const

export class LinearizabilityChecker {
  undecided = 0
  readonly #options: Required<LinearizabilityOptions>
  /** Not gone through yet, by call. */
  readonly #queue: Operation[] = []
  /** Called and not returned; the index is the bit. */
  readonly #pending: (Operation | undefined)[] = []
  readonly #unknown = new Map<string, Operation>()
  readonly #before: Operation[] = []
  #unknownDeletes = 0
  #configurations: Configuration[]
  /** Given up until nothing is pending. */
  #isLost = false

  constructor(options: LinearizabilityOptions) {
    this.#options = { maxConfigurations: 20_000, ...options }
    this.#configurations = [{ value: options.initial, done: 0, used: [], deletes: 0 }]
  }

  /** Begins an operation. Call it in the order of time, except for an operation that has not ended. */
  begin(operation: Pick<Operation, 'kind' | 'invokeMs' | 'by' | 'value'>): Operation {
    const begun: Operation = { ...operation, returnMs: Number.POSITIVE_INFINITY, fate: 'pending' }
    let place = this.#queue.length
    while (place > 0 && (this.#queue[place - 1] as Operation).invokeMs > begun.invokeMs) place--
    this.#queue.splice(place, 0, begun)
    return begun
  }

  /** `value`: what a read saw, or a write came to. Does nothing for an operation that another history has cut off. */
  end(
    operation: Operation,
    fate: 'known' | 'unknown' | 'void',
    returnMs: number,
    value: RegisterValue = operation.value,
  ): void {
    if (operation.fate !== 'pending') return
    operation.value = value
    operation.fate = fate
    operation.returnMs = returnMs
    this.#advance()
  }

  /**
   * Another history begins, with this value. A write that is pending may have taken effect in the one before, or
   * does in this one; what a pending read is about to see may be of either. A pending expiry may have been seen. As the
   * last operation it forbids nothing. Those of the new history have to be begun again.
   */
  beginAnew(value: RegisterValue, nowMs: number): void {
    for (const operation of [...this.#queue]) {
      this.end(operation, fateAtEnd[operation.kind], nowMs)
    }
    this.#isLost = false
    this.#configurations = [{ value, done: 0, used: [], deletes: 0 }]
  }

  #advance(): void {
    for (;;) {
      const next = this.#queue[0]
      const first = this.#firstToReturn()
      // At one moment calls come before returns: then they overlap, which forbids less.
      if (first !== undefined && first.returnMs < (next?.invokeMs ?? Number.POSITIVE_INFINITY))
        this.#return(first)
      else if (next !== undefined && next.fate !== 'pending') {
        this.#queue.shift()
        this.#call(next)
      } else return
    }
  }

  #firstToReturn(): Operation | undefined {
    let first: Operation | undefined
    for (const operation of this.#pending) {
      if (operation && (first === undefined || operation.returnMs < first.returnMs)) first = operation
    }
    return first
  }

  #call(operation: Operation): void {
    if (operation.fate === 'unknown' && operation.kind === 'write') {
      if (operation.value === null) this.#unknownDeletes++
      else this.#unknown.set(operation.value, operation)
    }
    if (operation.fate !== 'known') return
    let slot = this.#pending.indexOf(undefined)
    if (slot < 0) slot = this.#pending.length
    if (slot >= slots) {
      this.#giveUp()
      slot = this.#pending.length
    }
    this.#pending[slot] = operation
    if (operation.kind !== 'write')
      this.#configurations = this.#configurations.map((one) => this.#absorb(one))
  }

  #return(operation: Operation): void {
    const slot = this.#pending.indexOf(operation)
    this.#before.push(operation)
    if (this.#before.length > remembered) this.#before.shift()
    if (this.#isLost) {
      this.#pending[slot] = undefined
      this.#trim()
      if (this.#pending.length === 0) this.#restart()
      return
    }
    const next = this.#explore(slot)
    this.#pending[slot] = undefined
    this.#trim()
    if (next === undefined) {
      this.#giveUp()
      return
    }
    if (next.length > 0) {
      this.#configurations = next
      return
    }
    this.#options.onViolation(operation, this.#before)
    this.#isLost = true
    if (this.#pending.length === 0) this.#restart()
  }

  /** Every configuration in which the operation has taken effect; undefined when there are too many. */
  #explore(slot: number): Configuration[] | undefined {
    const bit = 1 << slot
    const seen = new Set<string>()
    const found: Configuration[] = []
    const stack = [...this.#configurations]
    const reads = this.#pending
      .map((one, index) => ({ one, index }))
      .filter(({ one }) => one?.kind === 'read')
    for (let one = stack.pop(); one; one = stack.pop()) {
      const isThere = (one.done & bit) !== 0
      const reached = isThere ? { ...one, done: one.done & ~bit } : one
      const name = this.#nameOf(reached, isThere)
      if (seen.has(name)) continue
      seen.add(name)
      if (seen.size > this.#options.maxConfigurations) return undefined
      if (isThere) found.push(reached)
      else {
        const wanted = new Set<RegisterValue>()
        for (const { one: read, index } of reads) {
          if (read && (one.done & (1 << index)) === 0) wanted.add(read.value)
        }
        for (const successor of this.#successors(one, wanted)) stack.push(this.#absorb(successor))
      }
    }
    return found
  }

  *#successors(one: Configuration, wanted: ReadonlySet<RegisterValue>): Generator<Configuration> {
    for (const [slot, operation] of this.#pending.entries()) {
      if (operation === undefined || (one.done & (1 << slot)) !== 0) continue
      const done = one.done | (1 << slot)
      if (operation.kind === 'write') yield { ...one, value: operation.value, done }
      else if (operation.kind === 'expire' && one.value === any) yield { ...one, done }
      else if (operation.kind === 'expire' && one.value === operation.value)
        yield { ...one, value: null, done }
    }
    for (const value of wanted) {
      if (one.value === any) yield { ...one, value }
      else if (value === null) {
        if (one.deletes < this.#unknownDeletes) yield { ...one, value, deletes: one.deletes + 1 }
      } else {
        const unknown = this.#unknown.get(value)
        if (unknown && !one.used.includes(unknown)) yield { ...one, value, used: [...one.used, unknown] }
      }
    }
  }

  /** Lets the pending reads of the present value take effect, and the expiries of those that are in the past. */
  #absorb(one: Configuration): Configuration {
    let { done } = one
    for (const [slot, operation] of this.#pending.entries()) {
      if (operation?.kind === 'read' && operation.value === one.value) done |= 1 << slot
      if (operation?.kind === 'expire' && this.#isPast(operation.value, one)) done |= 1 << slot
    }
    return done === one.done ? one : { ...one, done }
  }

  #isPast(value: RegisterValue, one: Configuration): boolean {
    if (one.value === any || one.value === value) return false
    return !this.#pending.some(
      (operation, slot) =>
        operation?.kind === 'write' && operation.value === value && (one.done & (1 << slot)) === 0,
    )
  }

  #nameOf({ value, done, used, deletes }: Configuration, isThere: boolean): string {
    const names = used.map((unknown) => unknown.value).sort()
    return JSON.stringify([value === any ? 0 : [value], done, isThere, deletes, names])
  }

  #giveUp(): void {
    this.undecided++
    this.#isLost = true
    if (this.#pending.length === 0) this.#restart()
  }

  #restart(): void {
    this.#isLost = false
    this.#configurations = [{ value: any, done: 0, used: [], deletes: 0 }]
  }

  #trim(): void {
    while (this.#pending.length > 0 && this.#pending.at(-1) === undefined) this.#pending.pop()
  }
}
