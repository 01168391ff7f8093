import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../support/random.js'

export interface ClientLoop {
  /** Least and greatest pause between two turns, in ms. */
  readonly pauseMs: readonly [least: number, most: number]
  readonly isReader: boolean
  readonly turn: () => Promise<unknown>
}

/** Clients of a workload, each of which takes its turns one after the other. */
export class ClientLoops {
  readonly #random: Random
  readonly #running: Promise<void>[] = []
  #isStopping = false
  #writesStop = false

  constructor(random: Random) {
    this.#random = random
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  start(loop: ClientLoop): void {
    this.#running.push(this.#run(loop))
  }

  /** No write begins any more; reads go on. */
  stopWrites(): void {
    this.#writesStop = true
  }

  /** Resolves when every operation has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#running)
  }

  async #run({ pauseMs: [least, most], isReader, turn }: ClientLoop): Promise<void> {
    while (!this.#isStopping && (isReader || !this.#writesStop)) {
      await turn()
      await sleep(this.#random.between(least, most))
    }
  }
}
