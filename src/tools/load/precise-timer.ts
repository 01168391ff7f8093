import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** Code of a worker thread: waits until a time is set, sleeps until that time, and posts a message. */
const thread = `
  const { parentPort, workerData: { isSet, at } } = require('node:worker_threads')
  const never = new Int32Array(new SharedArrayBuffer(4))
  parentPort.postMessage('ready')
  for (;;) {
    Atomics.wait(isSet, 0, 0)
    Atomics.store(isSet, 0, 0)
    const leftMs = at[0] - Number(process.hrtime.bigint()) / 1e6
    if (leftMs > 0) Atomics.wait(never, 0, 0, leftMs)
    parentPort.postMessage('now')
  }
`

/**
 * Timer with a precision of about 0.1 ms. Node's own timers count whole milliseconds, and can be up to 1 ms late. Only
 * one time can be set at once. The next one may be set when the timer rings.
 */
export class PreciseTimer {
  readonly #worker: Worker
  readonly #isSet: Int32Array
  /** Time to ring at, in ms of the machine's monotonic clock, which all threads share. */
  readonly #at: Float64Array

  private constructor() {
    this.#isSet = new Int32Array(new SharedArrayBuffer(4))
    this.#at = new Float64Array(new SharedArrayBuffer(8))
    const workerData = { isSet: this.#isSet, at: this.#at }
    this.#worker = new Worker(thread, { eval: true, execArgv: [], workerData })
  }

  static async start(onRing: () => void): Promise<PreciseTimer> {
    const timer = new PreciseTimer()
    await once(timer.#worker, 'message')
    timer.#worker.on('message', onRing)
    return timer
  }

  ringIn(ms: number): void {
    this.#at[0] = Number(process.hrtime.bigint()) / 1e6 + ms
    Atomics.store(this.#isSet, 0, 1)
    Atomics.notify(this.#isSet, 0)
  }

  async close(): Promise<void> {
    this.#worker.removeAllListeners('message')
    await this.#worker.terminate()
  }
}
