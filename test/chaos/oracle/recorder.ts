import { asSent, shortKey, shortValue } from '../entry-value.js'
import type { ReadAnswer } from '../fleet/sidecar-client.js'
import { Alterations } from './alterations.js'
import { type Denial, Denials } from './denials.js'
import { Expiries } from './expiries.js'
import { History, type Outcome, unknownHorizonMs, type WriteRecord, type WrittenValue } from './history.js'
import { Increments } from './increments.js'
import { LinearizabilityChecker, type Operation } from './linearizability.js'
import { Pairs } from './pairs.js'
import { checkPendingOverwrites } from './pending-overwrites.js'
import { checkSession } from './sessions.js'
import type { Spell } from './spell.js'
import { StalenessCheck } from './staleness.js'
import type { Promised, Violations } from './violations.js'

/** `near`: a default read of a client with a near cache, which sends the tokens of its writes. */
export type ReadKind = 'default' | 'strong' | 'session' | 'sql' | 'near'

export interface RecorderOptions {
  readonly keys: readonly string[]
  readonly maxStalenessMs: number
  /** Time by which a response may be late, as the machine may be busy with other things. */
  readonly allowanceMs?: number
  readonly violations: Violations
  /** Returns the present faults, for people. */
  readonly situation: () => string
  /** Returns the time in ms for which the process could not answer because we had stopped it. */
  readonly frozenMs: (via: string, fromMs: number, toMs: number) => number
}

export interface ReadRecord {
  readonly kind: ReadKind
  readonly key: string
  readonly by: string
  readonly via: string
  readonly invokeMs: number
  readonly strong: Operation | undefined
  readonly asIfStrong: Operation | undefined
  /** Write whose token is sent; without a session, the last write that was acknowledged there. */
  readonly since: WriteRecord | undefined
}

export interface WriteHandle {
  readonly record: WriteRecord
  readonly strong: Operation
  readonly asIfStrong: Operation
}

export interface Counts {
  reads: Record<ReadKind, number>
  writes: Record<Outcome, number>
  /** Default reads answered from memory as fresh, out of those that were answered at all. */
  hits: number
  hitsDuringFaults: number
  /** Hits that said that there is no such entry. */
  absentHits: number
  /** Reads that a near cache answered from its memory, and those of them that said that there is no such entry. */
  nearHits: number
  nearAbsentHits: number
  defaultReads: number
  defaultReadsDuringFaults: number
  staleMarked: number
  refused: number
  lost: number
  /** Requests to which the database said no for good. */
  denied: number
  /** Rows that were written with an end of their own which is known. */
  expiring: number
  /** Writes that a sidecar refused because the notification queue was full, and said so. */
  queueFull: number
}

/**
 * Time in ms after which a request counts as hung. Every wait of a sidecar has a shorter bound: the longest is that of a
 * read of a bound key without a change feed, which asks for the bindings first (2 s), and then for a connection and the
 * row (5 s).
 */
const hungMs = 9_000
/**
 * Time in ms for which a client of the package sends the token of a write: 60 s from a moment shortly before the write
 * has ended for its caller.
 */
const tokenMs = 59_000
const linesPerKey = 40
/** Tolerance in ms between the clock of the database and ours until a row expires. */
const clockToleranceMs = 100

/** Takes down every operation, and holds each against the promises as soon as it has ended. */
export class Recorder {
  readonly history: History
  readonly staleness: StalenessCheck
  /** The same for reads of near caches, whose hits are those from their own memory. */
  readonly nearStaleness: StalenessCheck
  readonly increments: Increments
  readonly pairs: Pairs
  /** Times in which all rows are given a time to live. */
  readonly lifetimes: Spell[] = []
  readonly counts: Counts = {
    reads: { default: 0, strong: 0, session: 0, sql: 0, near: 0 },
    writes: { ok: 0, nothing: 0, kept: 0, unknown: 0, failed: 0 },
    hits: 0,
    hitsDuringFaults: 0,
    absentHits: 0,
    nearHits: 0,
    nearAbsentHits: 0,
    defaultReads: 0,
    defaultReadsDuringFaults: 0,
    staleMarked: 0,
    refused: 0,
    lost: 0,
    denied: 0,
    expiring: 0,
    queueFull: 0,
  }
  longestMs = 0
  /** Number of reads by clients of near caches of keys that they had written. */
  nearSessions = 0
  readonly #options: RecorderOptions
  readonly #startMs = performance.now()
  readonly #strong = new Map<string, LinearizabilityChecker>()
  readonly #asIfStrong = new Map<string, LinearizabilityChecker>()
  readonly #notLinearizable = new Set<string>()
  readonly #lines = new Map<string, string[]>()
  readonly #expiries = new Expiries([this.#strong, this.#asIfStrong])
  readonly #alterations = new Alterations()
  readonly #denials = new Denials()
  #lifetime: { readonly spell: Spell; readonly ms: number } | undefined

  constructor(options: RecorderOptions) {
    this.#options = options
    this.history = new History(options.keys)
    this.increments = new Increments((text) =>
      options.violations.add({
        promise: 'nothing lost',
        text: `${this.clock()}: ${text}; ${options.situation()}`,
        around: [],
      }),
    )
    this.pairs = new Pairs((text) =>
      options.violations.add({
        promise: 'answers',
        text: `${this.clock()}: ${text}; ${options.situation()}`,
        around: [],
      }),
    )
    this.staleness = new StalenessCheck(this.history, options.maxStalenessMs)
    this.nearStaleness = new StalenessCheck(this.history, options.maxStalenessMs)
    for (const key of options.keys) {
      this.#strong.set(
        key,
        new LinearizabilityChecker({
          initial: null,
          onViolation: (operation, before) =>
            this.#violated('strong reads linearizable', key, {
              text: `no order of the writes explains that ${operation.by} saw ${shortValue(operation.value)}`,
              around: [...before.map((one) => this.#lineOf(one)), ...this.#linesOf(key).slice(-10)],
            }),
        }),
      )
      this.#asIfStrong.set(
        key,
        new LinearizabilityChecker({
          initial: null,
          onViolation: () => {
            this.#notLinearizable.add(key)
            this.#asIfStrong.delete(key)
          },
        }),
      )
    }
  }

  /** Keys on which default reads, taken for strong ones, have no order: it shows that the checker bites. */
  get keysNotLinearizable(): number {
    return this.#notLinearizable.size
  }

  /** Number of reads whose freshness was checked. */
  get freshReads(): number {
    return this.staleness.checked + this.nearStaleness.checked
  }

  /** Stretches of a key's history that were too tangled to decide. */
  get undecided(): number {
    return [...this.#strong.values()].reduce((sum, { undecided }) => sum + undecided, 0)
  }

  /** Other data take the place of what there was, with these values. Nobody has asked for them yet. */
  beginAnew(rows: ReadonlyMap<string, string>): void {
    const nowMs = performance.now()
    const stored = new Map([...rows].map(([key, value]) => [key, asSent(value)]))
    this.#expiries.beginAnew()
    this.increments.beginAnew()
    this.history.beginAnew(stored, nowMs)
    for (const checkers of [this.#strong, this.#asIfStrong]) {
      for (const [key, checker] of checkers) checker.beginAnew(stored.get(key) ?? null, nowMs)
    }
    for (const key of this.history.keys)
      this.#note(
        key,
        `${this.clock(nowMs)}  another history begins with ${shortValue(stored.get(key) ?? null)}`,
      )
  }

  /** Records a time in which a trigger alters all written values. */
  alters(spell: Spell): void {
    this.#alterations.add(spell)
  }

  /** Records a time in which the database refuses only the requests concerned. */
  denies(denial: Denial, spell: Spell, concerns: (request: { key: string; via: string }) => boolean): void {
    this.#denials.add(denial, spell, concerns)
  }

  /** Checks that there was a reason when a request was told no for good. */
  denied(denial: Denial, request: { key: string; by: string; via: string; invokeMs: number }): void {
    this.counts.denied++
    const fault = this.#denials.faultIn(denial, { ...request, returnMs: performance.now() })
    const { key, by, via } = request
    if (fault) this.#violated('answers', key, { text: `${by} via ${via} ${fault}` })
  }

  /**
   * Records a time in which all written rows expire after `lifetimeMs`. Rows written at an unknown moment may expire
   * too.
   */
  expires(spell: Spell, lifetimeMs: number): void {
    const nowMs = performance.now()
    this.#lifetime = { spell, ms: lifetimeMs }
    this.lifetimes.push(spell)
    for (const record of this.history.unsettled(nowMs)) this.#mayExpire(record, lifetimeMs, nowMs)
  }

  /** Seconds since the run began, for people. */
  clock(moment = performance.now()): string {
    return `${((moment - this.#startMs) / 1_000).toFixed(3)} s`
  }

  beginWrite(write: {
    key: string
    value: WrittenValue
    by: string
    via: string
    lifetimeMs?: number | undefined
  }): WriteHandle {
    const { key, value, by, via } = write
    const invokeMs = performance.now()
    const record = this.history.begin({ ...write, invokeMs })
    const operation = { kind: 'write', invokeMs, value, by: `${by} via ${via}` } as const
    const strong = this.#begin(this.#strong, key, operation)
    const asIfStrong = this.#begin(this.#asIfStrong, key, operation)
    return { record, strong, asIfStrong }
  }

  endWrite({ record, strong, asIfStrong }: WriteHandle, outcome: Outcome, denial?: Denial): void {
    if (denial) this.denied(denial, record)
    const returnMs = performance.now()
    const { key, via, by, invokeMs, value } = record
    this.counts.writes[outcome]++
    this.#time(key, { by, via, invokeMs, returnMs })
    this.#expiries.advance(key, returnMs)
    this.history.end(record, outcome, returnMs)
    if (value !== null) this.#expiryOf(record, value)
    for (const [checkers, operation] of [
      [this.#strong, strong],
      [this.#asIfStrong, asIfStrong],
    ] as const) {
      const fate =
        outcome === 'failed' ? 'void' : outcome === 'ok' || outcome === 'nothing' ? 'known' : 'unknown'
      checkers.get(key)?.end(operation, fate, returnMs, outcome === 'nothing' ? null : value)
    }
    this.#note(
      key,
      `${this.clock(invokeMs)} .. ${this.clock(returnMs)}  ${by} via ${via}: write ${shortValue(value)}: ${outcome}`,
    )
  }

  /** Called before the write has ended for the checkers, because a client may have seen its expiry already. */
  #expiryOf(record: WriteRecord, value: string): void {
    const { key, outcome, invokeMs, returnMs, lifetimeMs } = record
    if (outcome === 'failed' || outcome === 'nothing') return
    const isOver = outcome === 'ok'
    const ms = lifetimeMs ?? this.#lifetime?.ms
    if (ms === undefined) return
    const untilMs = isOver ? returnMs : returnMs + unknownHorizonMs
    const covered = lifetimeMs === undefined ? this.#lifetime?.spell.covers(invokeMs, untilMs) : 'yes'
    if (covered === 'no') return
    const [fromMs, toMs] = [invokeMs + ms - clockToleranceMs, returnMs + ms + clockToleranceMs]
    if (covered === 'maybe' || !isOver || fromMs <= returnMs) {
      this.#mayExpire(record, ms, returnMs)
    } else {
      if (lifetimeMs !== undefined) this.counts.expiring++
      this.#expiries.add(key, value, fromMs, toMs)
      this.history.expires(record, fromMs, toMs, true)
    }
  }

  /** The key may be absent for that reason, once, and until nothing of it can take effect any more. */
  #mayExpire(record: WriteRecord, lifetimeMs: number, nowMs: number): void {
    const { key, invokeMs } = record
    const deleted = { kind: 'write', invokeMs, value: null, by: `the expiry of ${record.by}` } as const
    for (const checkers of [this.#strong, this.#asIfStrong])
      checkers.get(key)?.end(this.#begin(checkers, key, deleted), 'unknown', nowMs)
    this.history.expires(record, invokeMs, nowMs + unknownHorizonMs + lifetimeMs, false)
  }

  /** Records the reason with which a sidecar refused a write. */
  refusedWrite(why: string): void {
    if (why.includes('notification queue is full')) this.counts.queueFull++
  }

  /** An answer to a write that the documentation does not know. */
  wrongAnswer({ key, by, via }: Pick<WriteRecord, 'key' | 'by' | 'via'>, why: string): void {
    this.#violated('answers', key, { text: `${by} via ${via}: ${why}` })
  }

  beginRead(read: {
    kind: ReadKind
    key: string
    by: string
    via: string
    since?: WriteRecord | undefined
  }): ReadRecord {
    const { kind, key, by, via, since = this.history.acknowledgedVia(key, via) } = read
    const invokeMs = performance.now()
    const operation = { kind: 'read', invokeMs, value: null, by: `${by} via ${via}` } as const
    const strong = kind === 'strong' || kind === 'sql' ? this.#begin(this.#strong, key, operation) : undefined
    const asIfStrong =
      kind === 'session' || kind === 'near' ? undefined : this.#begin(this.#asIfStrong, key, operation)
    return { kind, key, by, via, invokeMs, strong, asIfStrong, since }
  }

  endRead(read: ReadRecord, answer: ReadAnswer, isDuringFault: boolean): void {
    const returnMs = performance.now()
    const { kind, key, by, via, invokeMs } = read
    this.#time(key, { by, via, invokeMs, returnMs })
    this.#expiries.advance(key, returnMs)
    const isFresh = answer.kind === 'entry' && !answer.stale
    const shown = isFresh && answer.value !== null ? asSent(answer.value) : null
    for (const [checkers, operation] of [
      [this.#strong, read.strong],
      [this.#asIfStrong, read.asIfStrong],
    ] as const) {
      if (operation === undefined) continue
      checkers.get(key)?.end(operation, isFresh ? 'known' : 'void', returnMs, shown)
    }
    if (answer.kind === 'refused') this.counts.refused++
    if (answer.kind === 'refused' && answer.denial) this.denied(answer.denial, read)
    if (answer.kind === 'lost') this.counts.lost++
    if (answer.kind === 'wrong') this.#violated('answers', key, { text: `${by} via ${via}: ${answer.why}` })
    if (answer.kind !== 'entry') return

    this.counts.reads[kind]++
    const { value, source, stale, status } = answer
    if (stale) this.counts.staleMarked++
    if (kind === 'default') {
      const isHit = source === 'cache' && !stale
      this.counts.defaultReads++
      if (isHit) this.counts.hits++
      if (isHit && value === null) this.counts.absentHits++
      if (isDuringFault) this.counts.defaultReadsDuringFaults++
      if (isDuringFault && isHit) this.counts.hitsDuringFaults++
    }
    if (source === 'near') this.counts.nearHits++
    if (source === 'near' && value === null) this.counts.nearAbsentHits++
    const mark = `${source}${stale ? ', stale' : ''}${status ? `, ${status}` : ''}`
    const line = `${this.clock(invokeMs)} .. ${this.clock(returnMs)}  ${by} via ${via}: ${kind} read: ${shortValue(value)} (${mark})`
    this.#note(key, line)
    this.#check(read, { value, stale, source }, returnMs, line)
  }

  #check(
    read: ReadRecord,
    {
      value: text,
      stale,
      source,
    }: Pick<Extract<ReadAnswer, { kind: 'entry' }>, 'value' | 'stale' | 'source'>,
    returnMs: number,
    line: string,
  ): void {
    const { kind, key, by, invokeMs, since } = read
    const value = text === null ? null : asSent(text)
    if (value !== null) {
      const written = this.history.find(key, value)
      const why =
        written === undefined
          ? 'which nobody wrote under this key'
          : written.outcome === 'failed' || written.outcome === 'nothing'
            ? `whose write was answered as ${written.outcome}`
            : undefined
      if (why) this.#violated('answers', key, { text: `${by} was shown ${shortValue(value)}, ${why}` }, line)
      if (written && text !== null && !stale) this.#checkStored(read, { text, written }, returnMs, line)
    }
    const hasToken =
      kind === 'session' || (kind === 'near' && since !== undefined && invokeMs < since.returnMs + tokenMs)
    if (since && (hasToken || !stale)) {
      if (kind === 'near') this.nearSessions++
      const how = hasToken ? 'with the token of' : 'at the sidecar that had acknowledged'
      const wrong = checkSession(this.history, { key, value, stale, returnMs, since, how })
      if (wrong) this.#violated('sessions read their writes', key, { text: `${by}: ${wrong}` }, line)
    }
    if (stale) return
    if (kind === 'strong' && source === 'cache')
      this.#violated('answers', key, { text: `${by}: a strong read was answered from memory` }, line)
    const [check, memory] =
      kind === 'near' ? ([this.nearStaleness, 'near'] as const) : ([this.staleness, 'cache'] as const)
    const late = check.check({ key, value, invokeMs, returnMs }, source === memory)
    if (late) this.#violated('bounded staleness', key, { text: `${by}: ${late}` }, line)
    if (value !== null) this.history.seen(key, value, returnMs)
  }

  /**
   * Checks that a fresh value is in the table: as a trigger left it, not expired, and not a pending write in place of
   * a later one.
   */
  #checkStored(
    { kind, key, by, invokeMs }: ReadRecord,
    { text, written }: { text: string; written: WriteRecord },
    returnMs: number,
    line: string,
  ): void {
    const other = this.#alterations.faultIn(written, text, returnMs)
    if (other) this.#violated('answers', key, { text: `${by} was shown ${shortValue(text)}, ${other}` }, line)
    const overMs = Math.round(invokeMs - written.expiredMs)
    if (overMs > 0) {
      const late = `${shortValue(text)} served as fresh, expired at least ${overMs} ms before the read was sent`
      this.#violated('bounded staleness', key, { text: `${by}: ${late}` }, line)
    }
    if (kind !== 'strong' && kind !== 'sql') return
    const kept = checkPendingOverwrites(this.history, { key, value: asSent(text), invokeMs })
    if (kept) this.#violated('nothing lost', key, { text: `${by}: ${kept}` }, line)
  }

  #begin(
    checkers: ReadonlyMap<string, LinearizabilityChecker>,
    key: string,
    operation: Pick<Operation, 'kind' | 'invokeMs' | 'by' | 'value'>,
  ): Operation {
    this.#expiries.advance(key, operation.invokeMs)
    return checkers.get(key)?.begin(operation) ?? { ...operation, returnMs: 0, fate: 'void' }
  }

  #time(key: string, request: { by: string; via: string; invokeMs: number; returnMs: number }): void {
    const { by, via, invokeMs, returnMs } = request
    if (returnMs - invokeMs < 1_000) {
      this.longestMs = Math.max(this.longestMs, returnMs - invokeMs)
      return
    }
    const tookMs = returnMs - invokeMs - this.#options.frozenMs(via, invokeMs, returnMs)
    this.longestMs = Math.max(this.longestMs, tookMs)
    // A transaction by SQL may have many statements, each of which waits for a server that is unavailable.
    const { allowanceMs = 0 } = this.#options
    if (tookMs > hungMs + allowanceMs && via !== 'sql')
      this.#violated('answers', key, { text: `${by} waited ${Math.round(tookMs)} ms for ${via}` })
  }

  #violated(
    promise: Promised,
    key: string,
    { text, around = this.#linesOf(key) }: { text: string; around?: readonly string[] },
    line?: string,
  ): void {
    const faults = this.#options.situation()
    this.#options.violations.add({
      promise,
      text: `${this.clock()}, key ${shortKey(key)}: ${text}; ${faults}`,
      around: line === undefined || around.includes(line) ? around : [...around, line],
    })
  }

  #lineOf({ kind, invokeMs, returnMs, by, value, fate }: Operation): string {
    return `${this.clock(invokeMs)} .. ${this.clock(returnMs)}  ${by}: ${kind} ${shortValue(value)} ${fate}`
  }

  #linesOf(key: string): readonly string[] {
    return [...(this.#lines.get(key) ?? [])]
  }

  #note(key: string, line: string): void {
    const lines = this.#lines.get(key)
    if (lines === undefined) this.#lines.set(key, [line])
    else if (lines.push(line) > linesPerKey) lines.shift()
  }
}
