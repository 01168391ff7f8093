import { NearCache, type NearFlight, type StreamProof } from '../../clients/node/src/near/near-cache.js'
import type { LoggedChange } from '../../src/core/changes/change-log.js'
import type { Value, Version } from '../../src/core/entry.js'
import type { Clock } from '../../src/core/ports.js'
import { maxStalenessMs, type SimulatedSidecar } from './simulated-sidecar.js'

type StreamEvent =
  | { readonly kind: 'change'; readonly change: LoggedChange }
  | { readonly kind: 'gap'; readonly feed: string; readonly number: number }
  | ({ readonly kind: 'proof' } & StreamProof)

interface Response {
  readonly key: string
  readonly flight: NearFlight
  /** Undefined if the response does not say that it can be kept. */
  readonly feed: string | undefined
  readonly value: Value | undefined
  /** Undefined for the absence of an entry. */
  readonly version: Version | undefined
}

/**
 * The near cache of a client, over a stream and requests of which the test makes every step. Every event and every
 * response arrives at any time, the events of one stream in their order.
 */
export class SimulatedFollower {
  readonly #clock: Clock
  readonly #near: NearCache
  readonly #responses: Response[] = []
  #sidecar: SimulatedSidecar
  /** Number of the last change that was received, and the sidecar that sent it. */
  #received: number
  #receivedFrom: SimulatedSidecar
  /** Number of the last change that was sent. */
  #sent: number
  #stream: StreamEvent[] = []
  #asked: { readonly askedMs: number; arrivedMs: number | undefined } | undefined

  constructor(sidecar: SimulatedSidecar, clock: Clock) {
    this.#clock = clock
    this.#near = new NearCache({ maxEntries: 100, maxBytes: 1_000_000, ttlMs: 1_000_000 }, clock)
    this.#sidecar = sidecar
    this.#receivedFrom = sidecar
    const { last } = logOf(sidecar)
    this.#received = last
    this.#sent = last
    this.#near.opened(feedOf(sidecar), maxStalenessMs, false)
  }

  /** Returns what would be served from memory; undefined if nothing is proven. */
  fresh(key: string): { readonly value: Value | undefined } | undefined {
    const held = this.#near.hit(key)
    return held === undefined ? undefined : { value: held?.content as Value | undefined }
  }

  /** Reads a key at any sidecar, which a balancer has chosen. */
  read(key: string, at: SimulatedSidecar): void {
    const flight = this.#near.open(key)
    at.cache.get(key).then(
      (read) => {
        const feed = at.cache.following.originOf(key, read) && feedOf(at)
        this.#responses.push({ key, flight, feed, value: read.value, version: read.written?.version })
      },
      () => this.#near.close(flight),
    )
  }

  /** A response arrives, and is kept if that is safe. */
  respond(which: number): void {
    const [response] = this.#responses.splice(which % (this.#responses.length || 1), 1)
    if (response === undefined) return
    const { key, flight, feed, value, version } = response
    this.#near.answered(flight, {
      key,
      feed: feed === undefined ? undefined : { name: feed, viaOutbox: false },
      entry: version === undefined ? undefined : { content: value, version, etag: version, bytes: 1 },
      remainingMs: undefined,
    })
    this.#near.close(flight)
  }

  ask(): void {
    this.#asked = { askedMs: this.#clock.now(), arrivedMs: undefined }
  }

  /** The sidecar answers the question, or answers it again. */
  prove(): void {
    if (this.#asked === undefined) return
    this.#asked.arrivedMs ??= this.#clock.now()
    this.send()
    const { ageMs, outboxAgeMs } = this.#sidecar.cache.following.leaseAges()
    const elapsedMs = this.#clock.now() - this.#asked.arrivedMs
    this.#stream.push({ kind: 'proof', askedMs: this.#asked.askedMs, elapsedMs, ageMs, outboxAgeMs })
  }

  /** The sidecar sends what it has logged. */
  send(): void {
    const log = logOf(this.#sidecar)
    const changes = log.since(this.#sent)
    this.#sent = log.last
    if (changes) for (const change of changes) this.#stream.push({ kind: 'change', change })
    else this.#stream.push({ kind: 'gap', feed: feedOf(this.#sidecar), number: log.last })
  }

  receive(): void {
    const event = this.#stream.shift()
    if (event?.kind === 'proof') this.#near.proven(event)
    else if (event?.kind === 'gap') {
      this.#near.gap(event.feed)
      this.#received = event.number
      this.#receivedFrom = this.#sidecar
    } else if (event?.kind === 'change') {
      const { id, version, number } = event.change
      this.#received = number
      this.#near.changed(id, version)
    }
  }

  /** The stream is cut, and continues at this sidecar after the last event that was received. */
  reconnect(to: SimulatedSidecar): void {
    this.#near.lost()
    this.#stream = []
    this.#asked = undefined
    this.#near.opened(feedOf(to), maxStalenessMs, true)
    const log = logOf(to)
    // The number is that of an event of another process, or the log does not have what follows.
    const continues = to === this.#receivedFrom && log.has(this.#received)
    this.#sidecar = to
    this.#sent = continues ? this.#received : log.last
    if (!continues) this.#stream.push({ kind: 'gap', feed: feedOf(to), number: log.last })
  }

  /** Lets everything arrive that is on its way. */
  heal(): void {
    this.send()
    while (this.#stream.length > 0) this.receive()
    while (this.#responses.length > 0) this.respond(0)
    this.ask()
    this.prove()
    this.receive()
  }
}

function logOf({ cache }: SimulatedSidecar) {
  return cache.following.changeLog
}

const names = new WeakMap<SimulatedSidecar, string>()
let sidecars = 0

/** Returns the name of the feed of a sidecar in its present generation. */
function feedOf(sidecar: SimulatedSidecar): string {
  const name = names.get(sidecar) ?? `sidecar${++sidecars}`
  names.set(sidecar, name)
  return `${name}.${logOf(sidecar).generation}`
}
