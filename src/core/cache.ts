import type { Base, Change, Entry, KeptWrite, StoredEntry, Value, Version, Written } from './entry.js'
import { CacheError, hasCode } from './errors.js'
import { FeedLog } from './feed-log.js'
import { type FeedNow, Flights, type Token } from './flights.js'
import { heldKeys } from './held-keys.js'
import { KeptWrites } from './kept-writes.js'
import { keyId } from './key-id.js'
import { LastHeard } from './last-heard.js'
import { type FeedState, Lease } from './lease.js'
import { LocalCache } from './local-cache.js'
import type { ChangeFeedHandler, Clock, Log, Replica, Store } from './ports.js'
import type { Forwarded, Read, ReadWish } from './read.js'
import { RecentChanges } from './recent-changes.js'
import { ReplicaReads } from './replica-reads.js'
import { Revalidation } from './revalidation.js'
import { concerns, formatToken, type SessionToken } from './session-token.js'
import { type BatchedRead, Statements, type WantedEntry } from './statements.js'
import { Stats } from './stats.js'
import type { BatchTracer } from './tracer.js'
import { type TtlOptions, TtlPolicy } from './ttl-policy.js'
import { UnheardWrites } from './unheard-writes.js'

export interface CacheOptions extends TtlOptions {
  readonly capacity: number
  readonly maxBytes: number | undefined
  /** L: no fresh hit is older than this (P7). */
  readonly maxStalenessMs: number
  readonly onFeedLoss: 'bypass' | 'stale'
  readonly onWriteOutage: 'local' | 'reject'
  /** How many statements may be under way at once. */
  readonly maxStatements: number
  /** How long a request may wait for its statement to begin. */
  readonly maxWaitMs: number
}

/** What may become another while entries are held. */
export type Reconfigurable = TtlOptions & Pick<CacheOptions, 'capacity' | 'maxBytes'>

export interface CacheParts {
  readonly store: Store
  /** Asked in place of the store where that is safe (P13). */
  readonly replica?: Replica | undefined
  readonly clock: Clock
  readonly log: Log
  readonly tracer?: BatchTracer | undefined
  /** From 0 up to 1, by chance. */
  readonly random?: () => number
}

/** `written` is false for a write that is kept here until the database is back. */
export type WriteResult = { readonly written: true; readonly token: string } | { readonly written: false }

export interface DeleteResult {
  /** Was it held in this sidecar, in the database? */
  readonly held: boolean
  readonly stored: boolean
  /** Undefined for a delete that is kept here. */
  readonly token: string | undefined
}

export interface CacheStatus {
  readonly stats: Stats
  readonly size: number
  readonly bytes: number
  readonly keptWrites: number
  readonly feed: FeedState
  /** Why the feed is not live; undefined when it is. */
  readonly feedReason: string | undefined
  /** `Infinity` before the feed was live for the first time. */
  readonly leaseAgeMs: number
  /** May a replica be asked? Undefined where there is none. */
  readonly replicaUsable: boolean | undefined
}

/**
 * The algorithm: a local cache that is never staler than it says. The rules P1 to P12 that the comments
 * name are in docs/protocol.md.
 */
export class Cache implements ChangeFeedHandler {
  #options: CacheOptions
  readonly #clock: Clock
  readonly #log: Log
  readonly #stats = new Stats()
  readonly #lease: Lease
  readonly #flights = new Flights()
  readonly #local: LocalCache
  readonly #kept: KeptWrites
  readonly #statements: Statements
  readonly #replicaReads: ReplicaReads | undefined
  readonly #lastHeard = new LastHeard()
  readonly #recent = new RecentChanges()
  readonly #unheard = new UnheardWrites()
  readonly #revalidation: Revalidation
  readonly #feedLog: FeedLog
  readonly #random: (() => number) | undefined
  #ttl: TtlPolicy
  #feedReason = 'starting'

  constructor(options: CacheOptions, { store, replica, clock, log, tracer, random }: CacheParts) {
    this.#options = options
    this.#random = random
    this.#ttl = new TtlPolicy(options, random)
    this.#clock = clock
    this.#log = log
    this.#feedLog = new FeedLog(clock, log)
    this.#lease = new Lease(options.maxStalenessMs)
    this.#local = new LocalCache({
      capacity: options.capacity,
      maxBytes: options.maxBytes,
      onEvict: () => this.#stats.evictions++,
    })
    this.#kept = new KeptWrites(options.capacity, {
      store,
      clock,
      log,
      stats: this.#stats,
      onSettled: (id, written) => this.#apply(id, this.#versionOf(written)),
    })
    this.#revalidation = new Revalidation({
      store,
      log,
      feedLog: this.#feedLog,
      lease: this.#lease,
      local: this.#local,
      kept: this.#kept,
      lastHeard: this.#lastHeard,
      recent: this.#recent,
      stats: this.#stats,
    })
    this.#statements = new Statements({ store, clock, stats: this.#stats, tracer, ...options })
    this.#replicaReads =
      replica && new ReplicaReads({ replica, clock, stats: this.#stats, tracer, ...options })
  }

  /**
   * Tokens, the lease and flights are not touched. A shorter time to live counts from now for what is held, so that nothing
   * expires at once; a longer one from the next fill.
   */
  reconfigure(changed: Reconfigurable): void {
    const { capacity, maxBytes } = this.#options
    this.#options = { ...this.#options, ...changed }
    this.#ttl = new TtlPolicy(changed, this.#random)
    const nowMs = this.#clock.now()
    for (const entry of this.#local.entries()) {
      if (entry.expiresAtMs > nowMs + this.#ttl.boundMs(entry.key))
        entry.expiresAtMs = nowMs + this.#ttl.drawMs(entry.key)
    }
    if (changed.capacity === capacity && changed.maxBytes === maxBytes) return
    this.#local.resize(changed)
    this.#kept.resize(changed.capacity)
  }

  status(): CacheStatus {
    return {
      stats: this.#stats,
      size: this.#local.size,
      bytes: this.#local.bytes,
      keptWrites: this.#kept.size,
      feed: this.#lease.state,
      feedReason: this.#lease.state === 'live' ? undefined : this.#feedReason,
      leaseAgeMs: this.#lease.ageMs(this.#clock.now()),
      replicaUsable: this.#replicaReads?.isUsable,
    }
  }

  /** The hit path: an entry held here, within its time to live and within the lease. `nowMs` is the clock's. */
  hit(key: string, nowMs = this.#clock.now()): Entry | undefined {
    return this.#hit(keyId(key), nowMs)
  }

  #hit(id: string, nowMs = this.#clock.now()): Entry | undefined {
    if (!this.#lease.holds(nowMs)) return undefined
    const entry = this.#local.get(id)
    if (entry === undefined || entry.expiresAtMs <= nowMs) return undefined
    this.#stats.hits++
    if (this.#ttl.isSliding) this.#slide(entry, nowMs)
    return entry
  }

  #slide(entry: Entry, nowMs: number): void {
    const anewMs = Math.min(nowMs + this.#ttl.drawMs(entry.key), entry.rowExpiresAtMs)
    if (anewMs > entry.expiresAtMs) entry.expiresAtMs = anewMs
  }

  /** What memory alone can answer; undefined when the store would have to be asked. */
  recall(key: string, wish: ReadWish = {}): Read | undefined {
    const id = keyId(key)
    if (wish.strong || !this.#satisfies(wish.token, id)) return undefined
    const hit = this.#hit(id)
    if (hit) return this.#fromMemory(hit)
    const kept = this.#keptSince(wish.token, id)
    if (kept) return this.#fromKept(kept.value)
    const usable = this.#options.onFeedLoss === 'stale' ? this.#usable(id) : undefined
    return usable && this.#fromMemory(usable, 'unproven')
  }

  /** Rejects with a CacheError when the store has to be asked and cannot be. */
  get(key: string, wish: ReadWish = {}): Promise<Read> {
    const recalled = this.recall(key, wish)
    if (recalled) return Promise.resolve(recalled)

    const id = keyId(key)
    const entry = this.#local.get(id)
    const usable = this.#usable(id)
    const requested = wish.strong || !this.#satisfies(wish.token, id)
    const forwarded = this.#miss(requested, entry, usable)
    return this.#fill({ id, key, entry, forwarded }).catch((error: unknown) => {
      if (requested || !hasCode(error, 'store-unavailable', 'store-busy')) throw error
      // A write kept meanwhile is the latest we know; an entry dropped meanwhile is known to be wrong.
      const kept = this.#keptSince(wish.token, id)
      if (kept) return this.#fromKept(kept.value)
      if (usable && this.#usable(id) === usable) return this.#fromMemory(usable, 'unproven')
      throw error
    })
  }

  /** A fill that no reader has asked for, by the rules of every other (P3). Whether it has put. Rejects as `get` does. */
  async warm(key: string): Promise<boolean> {
    const id = keyId(key)
    const isRead = this.#flights.joinable(id, Number.NEGATIVE_INFINITY) !== undefined
    if (isRead || this.#usable(id)) return false
    const { stored } = await this.#fill({ id, key, entry: this.#local.get(id), forwarded: 'miss' })
    if (!stored) return false
    this.#stats.warmed++
    return true
  }

  /** As if they had been read one after the other: what comes last is evicted last. */
  touch(keys: Iterable<string>): void {
    for (const key of keys) this.#local.get(keyId(key))
  }

  /** Of the entries held, expired ones too; what was used last comes first. */
  heldKeys(): Promise<string[]> {
    return heldKeys(this.#local, this.#clock)
  }

  /** Writes through: the store first, then memory. */
  async set(key: string, value: Value): Promise<WriteResult> {
    const id = keyId(key)
    const token = this.#openToken(id)
    try {
      const { sent, answer: written } = await this.#kept.inOrder(id, () =>
        this.#statements.write.add({ key, value }),
      )
      if (written === undefined) throw new Error('the store answered a write without a version')
      this.#acknowledged(token, written)
      this.#put(token, { key, value: sent.value, ...written, remainingMs: undefined })
      return { written: true, token: formatToken(id, written) }
    } catch (error) {
      this.#keepOrThrow(id, key, value, error)
      return { written: false }
    } finally {
      this.#flights.close(token)
    }
  }

  async delete(key: string): Promise<DeleteResult> {
    const id = keyId(key)
    const kept = this.#kept.get(id)
    const held = kept ? kept.value !== undefined : this.#usable(id) !== undefined
    const token = this.#openToken(id)
    const item = { key }
    try {
      const { sent, answer: written } = await this.#kept.inOrder(id, () => this.#statements.remove.add(item))
      this.#acknowledged(token, written)
      return { held, stored: written !== undefined && sent === item, token: formatToken(id, written) }
    } catch (error) {
      this.#keepOrThrow(id, key, undefined, error)
      return { held, stored: false, token: undefined }
    } finally {
      this.#flights.close(token)
    }
  }

  // --- The change feed ---

  listening(asOfMs: number): Promise<void> {
    this.#stats.feedSessions++
    this.#lease.listening(asOfMs)
    this.#catchingUp('it listens')
    return this.#revalidation.run()
  }

  proven(asOfMs: number): void {
    if (this.#unheard.anyBefore(asOfMs)) throw new Error('a write of our own was not announced')
    this.#lease.proven(asOfMs)
    this.#inContact()
  }

  changed(change: Change): Promise<void> | undefined {
    this.#stats.changesApplied++
    if (change.kind === 'key') {
      this.#unheard.heard(change.id, change.version)
      this.#apply(change.id, change.version)
      return undefined
    }
    const wasLive = this.#lease.state === 'live'
    this.#lease.doubt()
    if (wasLive) this.#catchingUp('more has changed than was named')
    this.#flights.doubted()
    this.#unheard.clear()
    this.#replicaReads?.doubt()
    return this.#lease.state === 'catching-up' ? this.#revalidation.run() : undefined
  }

  #catchingUp(reason: string): void {
    this.#feedReason = 'catching up'
    this.#feedLog.catchingUp(reason)
  }

  /** Entries stay; they are served while the lease lasts, and are unproven after that (P5). */
  lost(reason: string): void {
    if (this.#lease.state !== 'down') {
      this.#stats.feedLosses++
      this.#feedLog.lost(reason)
    }
    this.#feedReason = reason
    this.#lease.lost()
    this.#flights.doubted()
    this.#unheard.clear()
    this.#replicaReads?.doubt()
  }

  /** Sends what is kept, if the database answers. */
  async close(): Promise<void> {
    await this.#kept.send().catch(() => undefined)
    if (this.#kept.size > 0)
      this.#log.warn({ kept: this.#kept.size }, 'kept writes are lost with this process')
  }

  // --- Reads ---

  /** P11: has this sidecar seen the write that the token came from? */
  #satisfies(token: SessionToken | undefined, id: string): boolean {
    if (token === undefined || !concerns(token, id)) return true
    const { written } = token
    if (written === undefined || written.epoch !== this.#lastHeard.epoch) return false
    return this.#recent.has(id, written.version) || this.#local.get(id)?.version === written.version
  }

  /**
   * What is kept here, unless the write that the token came from may be a later one (P11):
   *   1. the client's write is kept here      3. that change is heard here; what is kept is not settled yet
   *   2. its next one goes through elsewhere  4. it reads here, with the token of 2.
   */
  #keptSince(token: SessionToken | undefined, id: string): KeptWrite | undefined {
    const kept = this.#kept.get(id)
    if (kept === undefined || token?.written === undefined || !concerns(token, id)) return kept
    const number = this.#recent.numberOf(id, token.written.version)
    return number !== undefined && number <= kept.afterChanges ? kept : undefined
  }

  #miss(requested: boolean, entry: Entry | undefined, usable: Entry | undefined): Forwarded {
    if (requested) {
      this.#stats.missesRequested++
      return 'request'
    }
    if (entry === undefined) {
      this.#stats.missesAbsent++
      return 'miss'
    }
    if (usable) this.#stats.missesUnproven++
    else this.#stats.missesExpired++
    return 'stale'
  }

  /**
   * Asks the store. What the reader wished for is read by a statement that is sent after the read arrived;
   * those that wait at one moment share it (P10). Any other read may join a fill in flight (P4).
   */
  #fill({ id, key, entry, forwarded }: Miss): Promise<Read> {
    const nowMs = this.#clock.now()
    const joinable =
      forwarded === 'request' ? undefined : this.#flights.joinable(id, nowMs - this.#options.maxStalenessMs)
    if (joinable) {
      this.#stats.coalesced++
      return joinable.then((read) => ({ ...read, forwarded, collapsed: true }))
    }
    const token = this.#openToken(id)
    const { epoch } = this.#lastHeard
    const item = { key, held: entry && epoch !== undefined ? { ...entry, epoch } : undefined }
    const fromReplica = this.#readReplica(token, item, forwarded)
    const answered: Promise<Answered> = fromReplica ?? this.#statements.read.add(item)
    const end = () => {
      this.#flights.close(token)
      this.#flights.ended(id, result)
    }
    const result: Promise<Read> = answered.then(
      (batched) => {
        try {
          return this.#filled(token, forwarded, batched)
        } finally {
          end()
        }
      },
      (error: unknown) => {
        end()
        throw error
      },
    )
    this.#flights.started(id, { result, startedAtMs: fromReplica ? this.#lease.asOfMs : nowMs })
    return result
  }

  /**
   * What a replica says is as old as the lease: what was acknowledged before that, has been shown here, and so the
   * replica has it. It may take no longer than a hit may be old.
   */
  #readReplica(token: Token, item: WantedEntry, forwarded: Forwarded): Promise<Answered> | undefined {
    if (forwarded === 'request' || !token.live) return undefined
    const { asOfMs } = this.#lease
    const reading = this.#replicaReads?.read(token.id, item)
    return reading?.then((batched) => {
      const isInTime = this.#clock.now() - asOfMs <= this.#options.maxStalenessMs
      return batched && isInTime ? { ...batched, asOfMs } : this.#statements.read.add(item)
    })
  }

  #filled(token: Token, forwarded: Forwarded, { sent, answer, asOfMs }: Answered): Read {
    if (asOfMs === undefined) this.#inContact()
    this.#replicaReads?.shown(token.id)
    const ageMs = asOfMs === undefined ? 0 : this.#clock.now() - asOfMs
    if (answer === undefined) return { value: undefined, forwarded, ageMs }
    const value = answer.value ?? sent.held?.value
    if (value === undefined) throw new Error('the store left out a value that nobody holds')
    const stored = this.#put(token, { ...answer, value }, asOfMs)
    if (answer.value !== undefined) return { value, forwarded, stored, ageMs }
    this.#stats.revalidatedFills++
    return { value, forwarded, stored, ageMs, revalidated: true }
  }

  /** Held, and within its time to live. */
  #usable(id: string): Entry | undefined {
    const entry = this.#local.get(id)
    return entry !== undefined && entry.expiresAtMs > this.#clock.now() ? entry : undefined
  }

  #fromMemory(entry: Entry, stale?: 'unproven'): Read {
    const nowMs = this.#clock.now()
    if (stale) this.#stats.staleServed++
    return {
      value: entry.value,
      ageMs: nowMs - entry.asOfMs,
      ttlMs: entry.expiresAtMs - nowMs,
      ...(stale && { stale }),
    }
  }

  #fromKept(value: Value | undefined): Read {
    this.#stats.staleServed++
    return { value, stale: 'kept', ageMs: 0 }
  }

  // --- Flights ---

  #openToken(id: string): Token {
    return this.#flights.open(id, this.#feedNow(), this.#clock.now())
  }

  #feedNow(): FeedNow {
    return { generation: this.#lease.generation, live: this.#lease.state === 'live' }
  }

  /** Whether it was put. `asOfMs`: only for what a replica said, which tells nothing of where the primary is (P9). */
  #put(token: Token, { key, value, version, epoch, remainingMs }: StoredEntry, asOfMs?: number): boolean {
    if (epoch !== this.#lastHeard.epoch) return false
    if (asOfMs === undefined) this.#lastHeard.version(version)
    // What is kept is read before what the store has.
    if (this.#kept.get(token.id) || !this.#flights.mayPut(token, version, this.#feedNow())) return false
    // P12: what the database said remained, remained when we asked or later.
    const rowExpiresAtMs = token.openedAtMs + (remainingMs ?? Number.POSITIVE_INFINITY)
    this.#local.put(token.id, {
      key,
      value,
      version,
      asOfMs: asOfMs ?? token.openedAtMs,
      expiresAtMs: Math.min(this.#clock.now() + this.#ttl.drawMs(key), rowExpiresAtMs),
      rowExpiresAtMs,
      bytes: Buffer.byteLength(key) + Buffer.byteLength(value),
    })
    return true
  }

  /**
   * A write of ours has happened: for everybody else here that is a change like any other. Without a version
   * there was nothing to delete, and what is held is wrong all the same.
   */
  #acknowledged(token: Token, written: Written | undefined): void {
    const { id } = token
    if (written && this.#flights.unbroken(token, this.#feedNow()) && !this.#recent.has(id, written.version)) {
      this.#unheard.acknowledged(id, written.version, this.#clock.now())
    }
    this.#apply(id, this.#versionOf(written))
    // In another history an entry of this very version can be another value.
    this.#local.drop(id)
    this.#kept.drop(id)
    this.#inContact()
  }

  /** What is known of a write: in another history, which its answer can outlast, the same version is another write. */
  #versionOf(written: Written | undefined): Version | undefined {
    return written?.epoch === this.#lastHeard.epoch ? written?.version : undefined
  }

  /**
   * P2: a change drops the entry unless the entry is that very change. `undefined`: one that we know to have
   * happened, or that may have, under a version we do not know.
   */
  #apply(id: string, version: Version | undefined): void {
    this.#flights.changed(id, version)
    this.#replicaReads?.shown(id)
    if (version !== undefined) {
      this.#lastHeard.version(version)
      this.#recent.add(id, version)
    }
    const entry = this.#local.get(id)
    if (entry === undefined || entry.version === version) return
    this.#local.drop(id)
    this.#stats.invalidations++
  }

  // --- Database down (P9) ---

  /** A write that has certainly not happened is kept, where that is wanted; any other error is the caller's. */
  #keepOrThrow(id: string, key: string, value: Value | undefined, error: unknown): void {
    if (hasCode(error, 'outcome-unknown')) {
      this.#stats.writesUnknown++
      this.#apply(id, undefined)
      this.#kept.doubt(id)
    }
    if (!hasCode(error, 'store-unavailable') || this.#options.onWriteOutage === 'reject') throw error
    const { epoch } = this.#lastHeard
    const afterChanges = this.#recent.count
    const base = this.#baseOf(id)
    if (!this.#kept.keep(id, { key, value, base, epoch, mayHaveHappened: false, afterChanges })) {
      throw new CacheError('store-unavailable', 'the database is away and no further write can be kept', {
        cause: error,
      })
    }
    this.#apply(id, undefined)
  }

  #baseOf(id: string): Base {
    const entry = this.#local.get(id)
    return entry ? { kind: 'held', version: entry.version } : this.#lastHeard.unseen
  }

  /** The store has answered: a good moment to send what is kept. */
  #inContact(): void {
    if (this.#kept.size === 0) return
    this.#kept
      .send()
      .catch((error: unknown) => this.#log.warn({ err: error }, 'kept writes could not be sent yet'))
  }
}

interface Answered extends BatchedRead {
  /** Undefined where the store itself answered, since it was asked. */
  readonly asOfMs?: number
}

interface Miss {
  readonly id: string
  readonly key: string
  /** Held here, but not to be served as it is. */
  readonly entry: Entry | undefined
  readonly forwarded: Forwarded
}
