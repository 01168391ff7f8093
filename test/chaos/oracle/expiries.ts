import type { LinearizabilityChecker, Operation } from './linearizability.js'

type Checkers = ReadonlyMap<string, LinearizabilityChecker>

/** Bounds of the moment at which a row expires, unless it is overwritten before. */
interface Expiry {
  readonly value: string
  readonly fromMs: number
  readonly toMs: number
  operations: readonly (readonly [LinearizabilityChecker, Operation])[] | undefined
}

/**
 * Expiries of rows, as operations for the linearizability checkers. No client begins or ends them, so `advance` does,
 * before any other operation of the key begins or ends.
 */
export class Expiries {
  readonly #checkers: readonly Checkers[]
  readonly #byKey = new Map<string, Set<Expiry>>()

  constructor(checkers: readonly Checkers[]) {
    this.#checkers = checkers
  }

  add(key: string, value: string, fromMs: number, toMs: number): void {
    const expiry = { value, fromMs, toMs, operations: undefined }
    const others = this.#byKey.get(key)
    if (others) others.add(expiry)
    else this.#byKey.set(key, new Set([expiry]))
  }

  /** Begins and ends what is due. */
  advance(key: string, nowMs: number): void {
    const expiries = this.#byKey.get(key)
    if (expiries === undefined) return
    for (const expiry of [...expiries].sort((one, other) => one.fromMs - other.fromMs)) {
      if (expiry.fromMs > nowMs) continue
      const { value, fromMs, toMs } = expiry
      expiry.operations ??= this.#checkers
        .flatMap((checkers) => checkers.get(key) ?? [])
        .map((checker) => [
          checker,
          checker.begin({ kind: 'expire', invokeMs: fromMs, by: 'its expiry', value }),
        ])
      if (toMs >= nowMs) continue
      for (const [checker, operation] of expiry.operations) checker.end(operation, 'known', toMs)
      expiries.delete(expiry)
    }
    if (expiries.size === 0) this.#byKey.delete(key)
  }

  /** Another history begins for the checkers. Rows that are part of it expire there. */
  beginAnew(): void {
    for (const expiries of this.#byKey.values()) {
      for (const expiry of expiries) expiry.operations = undefined
    }
  }
}
