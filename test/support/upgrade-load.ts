import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from './eventually.js'
import { JsonClient } from './json-client.js'

/** Pause in ms after each request of a client. Without one, the clients keep the machine busy while sidecars start. */
const pauseMs = 5

interface Counter {
  readonly key: string
  /** Last number that was written or may have been written. */
  sent: number
  /** Numbers that were acknowledged, and when, in the order of both. */
  readonly acknowledged: { readonly number: number; readonly atMs: number }[]
}

export interface UpgradeLoadOptions {
  /** Number of keys, each with a writer and a reader. */
  readonly counters: number
  /** No read may be older than this. */
  readonly maxStalenessMs: number
}

/**
 * Clients that write and read counters through one address, however often the sidecars behind it change. A key has one
 * writer, so the oldest number that a read may return is known.
 */
export class UpgradeLoad {
  readonly #client: JsonClient
  readonly #maxStalenessMs: number
  readonly #counters: readonly Counter[]
  readonly #running: Promise<unknown>
  /** Requests by each client: a client sends one after another. */
  readonly #requests: number[]
  #isOver = false
  /** Requests that were answered with an error, or not at all. */
  readonly failures: string[] = []
  /** Reads that broke a promise. */
  readonly violations: string[] = []
  /** Writes that waited for the locks of a migration for longer than a write waits. */
  lockedOut = 0

  constructor(base: string, { counters, maxStalenessMs }: UpgradeLoadOptions) {
    this.#client = new JsonClient(base)
    this.#maxStalenessMs = maxStalenessMs
    this.#counters = Array.from({ length: counters }, (_, index) => ({
      key: `counter ${index}`,
      sent: 0,
      acknowledged: [],
    }))
    this.#requests = Array.from({ length: 2 * counters }, () => 0)
    this.#running = Promise.all(
      this.#counters.flatMap((counter, index) => [
        this.#repeat(index, () => this.#write(counter)),
        this.#repeat(counters + index, () => this.#read(counter)),
      ]),
    )
  }

  /** Number of requests that have been answered. */
  get requests(): number {
    return this.#requests.reduce((sum, count) => sum + count, 0)
  }

  /**
   * Resolves when each client has begun and ended `count` more requests. Those that were under way before have ended then.
   */
  async progress(count: number): Promise<void> {
    const goals = this.#requests.map((requests) => requests + count + 1)
    await eventually(() => this.#requests.every((requests, client) => requests >= (goals[client] as number)))
  }

  /** Ends the load. Resolves to the last number that was acknowledged of each key. */
  async end(): Promise<ReadonlyMap<string, number>> {
    this.#isOver = true
    await this.#running
    return new Map(this.#counters.map(({ key, acknowledged }) => [key, acknowledged.at(-1)?.number ?? 0]))
  }

  async #repeat(client: number, send: () => Promise<void>): Promise<void> {
    while (!this.#isOver) {
      try {
        await send()
      } catch (error) {
        this.failures.push(String(error))
      }
      this.#requests[client] = (this.#requests[client] as number) + 1
      await sleep(pauseMs)
    }
  }

  async #write(counter: Counter): Promise<void> {
    const number = ++counter.sent
    const { status, body, text } = await this.#client.set(counter.key, number)
    if (status === 503 && body.detail === 'The entry is locked in the database') {
      this.lockedOut++
      return
    }
    if (status !== 200 || body.db_written !== true)
      throw new Error(`a write was answered with ${status} ${text}`)
    counter.acknowledged.push({ number, atMs: performance.now() })
  }

  async #read({ key, acknowledged }: Counter): Promise<void> {
    const mayMissMs = performance.now() - this.#maxStalenessMs
    const { status, body, text } = await this.#client.get(key)
    const least = acknowledged.findLast(({ atMs }) => atMs < mayMissMs)?.number ?? 0
    if (status === 404 && least === 0) return
    if (status !== 200) throw new Error(`a read was answered with ${status} ${text}`)
    if (body.stale === undefined && Number(body.value) < least)
      this.violations.push(
        `${key} was ${text}, and ${least} had been acknowledged ${this.#maxStalenessMs} ms before`,
      )
  }
}
