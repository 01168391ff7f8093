import { setTimeout as sleep } from 'node:timers/promises'
import { runSql } from './run-sql.js'

export interface DemoLoadOptions {
  /** Addresses of the data listeners of the sidecars. */
  readonly sidecars: readonly string[]
  /** API token of the sidecars; undefined if they have none. */
  readonly token: string | undefined
  readonly databaseUrl: string
}

/** Requests in a second, to all sidecars together. They are few, so that a laptop does not notice. */
const requestsPerSecond = 50
const keys = 300
const shareOfSets = 0.08
const shareOfDeletes = 0.01
const shareOfBoundReads = 0.25

const changes: readonly string[] = [
  'update products set price = round((price * (0.9 + random() * 0.2))::numeric, 2) where id = 1 + floor(random() * 3)',
  'update reviews set stars = 1 + floor(random() * 5) where id = 1 + floor(random() * 4)',
  `update cache_entries set value = 'by SQL at ' || clock_timestamp()::text where key = 'demo:' || floor(random() * 20)::int`,
]
const changeIntervalMs = 1_500

/**
 * A small load on both sidecars, for `dev --demo`: reads, of which some keys are far more frequent than others, sets,
 * deletes, and changes by SQL of entries and of bound tables. One request is sent at a time, so it is bounded.
 */
export class DemoLoad {
  readonly #options: DemoLoadOptions
  readonly #send: ReturnType<typeof senderOf>
  readonly #closing = new AbortController()
  #running: Promise<unknown> | undefined

  constructor(options: DemoLoadOptions) {
    this.#options = options
    this.#send = senderOf(options.token)
  }

  start(): void {
    const { databaseUrl } = this.#options
    let number = 0
    this.#running = Promise.all([
      this.#repeat(1_000 / requestsPerSecond, () => this.#request()),
      this.#repeat(changeIntervalMs, () => runSql(databaseUrl, changes[number++ % changes.length] as string)),
    ])
  }

  /** Stops after the request in flight. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #repeat(intervalMs: number, work: () => Promise<unknown>): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      // A sidecar that does not answer, or SQL that fails, is for the page to show.
      await work().catch(() => undefined)
      await sleep(intervalMs, undefined, { signal }).catch(() => undefined)
    }
  }

  async #request(): Promise<void> {
    const { sidecars } = this.#options
    const sidecar = sidecars[Math.floor(Math.random() * sidecars.length)]
    // The square prefers low numbers.
    const key = `demo:${Math.floor(keys * Math.random() ** 2)}`
    const dice = Math.random()
    if (dice < shareOfSets) await this.#send(`${sidecar}/cache/set`, 'POST', entryOf(key))
    else if (dice < shareOfSets + shareOfDeletes)
      await this.#send(`${sidecar}/cache/delete?key=${key}`, 'DELETE')
    else await this.#send(`${sidecar}/cache/get?key=${Math.random() < shareOfBoundReads ? boundKey() : key}`)
  }
}

function boundKey(): string {
  const id = 1 + Math.floor(Math.random() * 3)
  return Math.random() < 0.5 ? `product:${id}` : `product_page:${id}`
}

function entryOf(key: string): string {
  return JSON.stringify({ key, value: { at: new Date().toISOString(), number: Math.random() } })
}

/** Returns a function that sends a request, with the token if there is one, and reads the response. */
function senderOf(token: string | undefined) {
  const authorization = token === undefined ? {} : { Authorization: `Bearer ${token}` }
  return async (url: string, method = 'GET', body?: string): Promise<void> => {
    const type = body === undefined ? {} : { 'Content-Type': 'application/json' }
    const init = { method, headers: { ...authorization, ...type }, ...(body !== undefined && { body }) }
    await (await fetch(url, init)).arrayBuffer()
  }
}
