import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** As a thread of its own: sleeps until it is told when, sleeps until then, and says so. */
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
 * A timer to about 0.1 ms. Node's own know whole milliseconds, and come up to one later. One time is set at once; the
 * next may be from when it rings.
 */
export class PreciseTimer {
  readonly #worker: Worker
  readonly #isSet: Int32Array
  /** By the monotonic clock of the machine, which all threads have in common. */
  readonly #at: Float64Array

  private constructor() {
    this.#isSet = new Int32Array(new SharedArrayBuffer(4))
    this.#at = new Float64Array(new SharedArrayBuffer(8))
    const workerData = { isSet: this.#isSet, at: this.#at }
    this.#worker = new Worker(thread, { eval: true, execArgv: [], workerData })
  }

  static async start(onRing: () => void): Promise<PreciseTimer> {
    const alarm = new PreciseTimer()
    await once(alarm.#worker, 'message')
    alarm.#worker.on('message', onRing)
    return alarm
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
