import type { LoggedChange } from '../../src/core/changes/change-log.js'
import type { Value, Version } from '../../src/core/entry.js'
import type { Clock } from '../../src/core/ports.js'
import { maxStalenessMs, type SimulatedSidecar } from './simulated-sidecar.js'

/** Name of a feed: the process, and the generation of its log. */
interface Feed {
  readonly sidecar: SimulatedSidecar
  readonly generation: number
}

type StreamEvent =
  | { readonly kind: 'change'; readonly change: LoggedChange }
  | { readonly kind: 'gap'; readonly feed: Feed; readonly number: number }
  | { readonly kind: 'proof'; readonly t0Ms: number; readonly elapsedMs: number; readonly ageMs: number }

interface Token {
  readonly changes: Version[]
  isBroken: boolean
}

interface Response {
  readonly key: string
  readonly token: Token
  readonly feed: Feed | undefined
  readonly kept: Kept
}

interface Kept {
  readonly value: Value | undefined
  /** Undefined for the absence of an entry. */
  readonly version: Version | undefined
}

/**
 * A client that keeps values by P19, as docs/reference/http-api.md describes it. Every event and every response arrives
 * at any time, the events of one stream in their order.
 */
export class SimulatedFollower {
  readonly #clock: Clock
  readonly #kept = new Map<string, Kept>()
  readonly #tokens = new Map<string, Set<Token>>()
  readonly #responses: Response[] = []
  #feed: Feed
  /** Number of the last change that was received. */
  #received: number
  /** Number of the last change that was sent. */
  #sent: number
  #stream: StreamEvent[] = []
  #asked: { readonly t0Ms: number; arrivedMs: number | undefined } | undefined
  #asOfMs = Number.NEGATIVE_INFINITY

  constructor(sidecar: SimulatedSidecar, clock: Clock) {
    this.#clock = clock
    const { generation, last } = logOf(sidecar)
    this.#feed = { sidecar, generation }
    this.#received = last
    this.#sent = last
  }

  /** Returns what would be served from memory. */
  fresh(key: string): Kept | undefined {
    return this.#clock.now() - this.#asOfMs <= maxStalenessMs ? this.#kept.get(key) : undefined
  }

  /** Reads a key at any sidecar, which a balancer has chosen. */
  read(key: string, at: SimulatedSidecar): void {
    const token: Token = { changes: [], isBroken: false }
    const tokens = this.#tokens.get(key) ?? new Set()
    this.#tokens.set(key, tokens.add(token))
    at.cache.get(key).then(
      (read) => {
        const origin = at.cache.following.originOf(key, read)
        const feed = origin && { sidecar: at, generation: logOf(at).generation }
        const kept = { value: read.value, version: read.written?.version }
        this.#responses.push({ key, token, feed, kept })
      },
      () => undefined,
    )
  }

  /** A response arrives, and is kept if that is safe. */
  respond(which: number): void {
    const [response] = this.#responses.splice(which % (this.#responses.length || 1), 1)
    if (response === undefined) return
    const { key, token, feed, kept } = response
    this.#tokens.get(key)?.delete(token)
    if (feed?.sidecar !== this.#feed.sidecar || feed.generation !== this.#feed.generation) return
    const mayKeep = token.changes.every((version) =>
      kept.version === undefined ? version.startsWith('-') : version === kept.version,
    )
    if (token.isBroken || !mayKeep) return
    this.#kept.set(key, kept)
    // For the other flights of the key, that is a change: one that read an older value must not replace it.
    for (const other of this.#tokens.get(key) ?? []) other.changes.push(kept.version ?? '0')
  }

  ask(): void {
    this.#asked = { t0Ms: this.#clock.now(), arrivedMs: undefined }
  }

  /** The sidecar answers the question, or answers it again. */
  prove(): void {
    if (this.#asked === undefined) return
    this.#asked.arrivedMs ??= this.#clock.now()
    this.send()
    const { ageMs } = this.#feed.sidecar.cache.following.leaseAges()
    const elapsedMs = this.#clock.now() - this.#asked.arrivedMs
    this.#stream.push({ kind: 'proof', t0Ms: this.#asked.t0Ms, elapsedMs, ageMs })
  }

  /** The sidecar sends what it has logged. */
  send(): void {
    const { sidecar } = this.#feed
    const log = logOf(sidecar)
    const changes = log.since(this.#sent)
    this.#sent = log.last
    if (changes) for (const change of changes) this.#stream.push({ kind: 'change', change })
    else this.#stream.push({ kind: 'gap', feed: { sidecar, generation: log.generation }, number: log.last })
  }

  receive(): void {
    const event = this.#stream.shift()
    if (event?.kind === 'proof')
      this.#asOfMs = Math.max(this.#asOfMs, event.t0Ms + event.elapsedMs - event.ageMs)
    else if (event?.kind === 'gap') {
      this.#startOver(event.feed)
      this.#received = event.number
    } else if (event?.kind === 'change') {
      const { id, version, number } = event.change
      this.#received = number
      const kept = this.#kept.get(id)
      const stays = kept?.version === undefined ? version.startsWith('-') : kept.version === version
      if (!stays) this.#kept.delete(id)
      for (const token of this.#tokens.get(id) ?? []) token.changes.push(version)
    }
  }

  /** The stream is cut, and continues at this sidecar after the last event that was received. */
  reconnect(to: SimulatedSidecar): void {
    const log = logOf(to)
    this.#stream = []
    this.#asked = undefined
    const continues = to === this.#feed.sidecar && log.has(this.#received)
    if (!continues) {
      this.#startOver({ sidecar: to, generation: log.generation })
      this.#received = log.last
    }
    this.#sent = this.#received
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

  #startOver(feed: Feed): void {
    this.#feed = feed
    this.#kept.clear()
    this.#asOfMs = Number.NEGATIVE_INFINITY
    for (const tokens of this.#tokens.values()) for (const token of tokens) token.isBroken = true
  }
}

function logOf({ cache }: SimulatedSidecar) {
  return cache.following.changeLog
}
