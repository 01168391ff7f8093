import { Breaker } from '../../../../src/core/breaker.js'
import type { Clock } from '../../../../src/core/ports.js'
import { CachingLayerError } from '../caching-layer-error.js'
import type { Transport } from '../http/transport.js'

export interface SidecarLivenessParts {
  readonly transport: Pick<Transport, 'request'>
  readonly clock: Pick<Clock, 'now'>
}

/** Time without a response after which a check accompanies a request, and time limit of a check. */
const patienceMs = 500
/**
 * Number of turns of the event loop in which the time limit of a check is counted. Each turn reads what has arrived, so
 * a response is not taken for late because this process was paused, or is short of CPU time.
 */
const turnsOfCheck = 10
/** Number of checks in a row without a response after which the sidecar is silent. */
const failedChecks = 2
/** Minimum time between checks of a silent sidecar. */
const pauseMs = 1_000

/**
 * Finds out whether the sidecar answers at all. A request for a value may wait for seconds, while another process
 * computes it, so its own time limit is too long to tell. A check (`GET /health`) is answered at once, whatever the
 * database does and whoever waits.
 *
 *                 two checks in a row without a response
 *   answering ---------------------------------------------> silent
 *       ^                                                       |
 *       +---------------- a check has a response ---------------+
 *
 * While the sidecar is silent, calls do not wait for it, and one of them starts a check every now and then.
 */
export class SidecarLiveness {
  readonly #parts: SidecarLivenessParts
  readonly #breaker = new Breaker({ failures: failedChecks, pauseMs })
  /** Requests that wait for a response. They are aborted when the sidecar falls silent. */
  readonly #waiting = new Set<AbortController>()
  #isChecking = false

  constructor(parts: SidecarLivenessParts) {
    this.#parts = parts
  }

  /** Returns true if a request may be sent. Otherwise the sidecar is silent, and a check is started if it is time. */
  maySend(): boolean {
    if (this.#breaker.state === 'closed') return true
    if (this.#breaker.lets(this.#parts.clock.now())) void this.#check()
    return false
  }

  /** Sends a request. Rejects with the kind `timeout`, besides what `send` rejects with, if the sidecar falls silent. */
  async whileAnswering<T>(send: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController()
    const timer = setInterval(() => void this.#check(), patienceMs)
    this.#waiting.add(controller)
    try {
      const answer = await send(controller.signal)
      this.#breaker.reached()
      return answer
    } catch (error) {
      if (isResponse(error)) this.#breaker.reached()
      // No connection could be opened, so a check would fail as well.
      else if (error instanceof CachingLayerError && error.kind === 'unreachable') this.#failed()
      throw error
    } finally {
      clearInterval(timer)
      this.#waiting.delete(controller)
    }
  }

  async #check(): Promise<void> {
    if (this.#isChecking) return
    this.#isChecking = true
    while (!(await this.#isAnswered())) {
      this.#failed()
      if (this.#breaker.state !== 'closed') break
    }
    this.#isChecking = false
  }

  /** Resolves to true if there is a response, such as one that refuses the token. */
  async #isAnswered(): Promise<boolean> {
    const { transport } = this.#parts
    // The other connections may all have requests that wait.
    const check = { method: 'GET', path: '/health', isRead: true, isOnNewConnection: true } as const
    const controller = new AbortController()
    let turns = 0
    const timer = setInterval(() => {
      if (++turns === turnsOfCheck) controller.abort()
    }, patienceMs / turnsOfCheck)
    try {
      await transport.request(check, { timeoutMs: Number.POSITIVE_INFINITY, signal: controller.signal })
    } catch (error) {
      if (!isResponse(error)) return false
    } finally {
      clearInterval(timer)
    }
    this.#breaker.reached()
    return true
  }

  #failed(): void {
    this.#breaker.failed(this.#parts.clock.now())
    if (this.#breaker.state === 'closed') return
    const reason = new CachingLayerError({
      kind: 'timeout',
      detail: 'the sidecar does not answer',
      retryable: true,
    })
    for (const controller of this.#waiting) controller.abort(reason)
  }
}

/** Returns true for the error of a request that has a response. */
function isResponse(error: unknown): boolean {
  return error instanceof CachingLayerError && error.status !== undefined
}
