/**
 * History of each key, as far as an outside observer can know it: writes with the moments of their call and return, all
 * by the one monotonic clock of this process.
 *
 * Conclusions that may be drawn. A write takes effect at one moment (its commit) between its call and its return. When
 * its outcome is unknown that moment may come later, or never; a write that a sidecar has kept takes effect when it is
 * sent. So of each write we know `invokeMs`, and `effectByMs`: by then it has taken effect, if it ever does:
 *
 * - the return, when the write was acknowledged;
 * - the return of any read that saw its value in the database, or in memory without a stale mark (a pending
 *   write's value is marked stale until it is in the database), whichever is first;
 * - for an unknown outcome, `unknownHorizonMs` after the return: no statement lives that long (the sidecars set
 *   statement_timeout, and no fault holds bytes back for longer);
 * - for a pending write, the moment when its sidecar reports that nothing is kept any more, or has been killed.
 *
 * A value is *certainly overwritten* at the return of the first acknowledged write that was called after the value's
 * `effectByMs`: it took effect later, and had by then. Writes that overlap, and those that may not have happened,
 * overwrite nothing. So the staleness computed here is never more than the true one.
 *
 * Versions are not used: a delete that races an insert can invert them (P1 of docs/protocol.md).
 *
 * An absence has no unique value: any of the deletes may be the one that a reader saw, and it is given the benefit of
 * the most recent of them.
 *
 * A row that expires is a delete that happens by itself, at a time of which we know the bounds. A value that has
 * expired is not served any more, however short that was ago.
 *
 * When a standby takes over that has lost the tail, or the data are replaced in another way, another history begins,
 * from what is in the table then. What was acknowledged before and is not there is legitimately lost.
 */

/** `nothing`: acknowledged, but there was no row to change: the key was absent at that moment. */
export type Outcome = 'ok' | 'kept' | 'unknown' | 'failed' | 'nothing'

/** Null for a delete. */
export type WrittenValue = string | null

export interface WriteRecord {
  readonly key: string
  readonly value: WrittenValue
  /** Client and sidecar of the operation, for people. */
  readonly by: string
  /** The process that may keep it: a sidecar's incarnation. */
  readonly via: string
  readonly invokeMs: number
  returnMs: number
  outcome: Outcome | 'pending'
  effectByMs: number
  /** Infinity while the value may be the current one. */
  overwrittenMs: number
  overwrittenBy: WriteRecord | undefined
  /** Moment by which the row has certainly expired; Infinity if it may stay. */
  expiredMs: number
  /** After so long the row expires, because it was written with a time of its own in `expires_at`. */
  readonly lifetimeMs?: number | undefined
}

export const unknownHorizonMs = 60_000

/**
 * Time in ms for which an overwritten value is remembered: three times the time to live. A reader that is shown an
 * older one has seen what nobody wrote.
 */
const memoryMs = 180_000
/** Time in ms for which the moments are remembered at which the key was absent. */
const absenceMemoryMs = 60_000

class KeyHistory {
  readonly byValue = new Map<string, WriteRecord>()
  /** Not certainly overwritten. */
  readonly open = new Set<WriteRecord>()
  readonly absences: WriteRecord[] = []
  /** Last acknowledged write of each process, by the moment of its call. */
  readonly latestVia = new Map<string, WriteRecord>()

  absentSince(key: string, momentMs: number): void {
    const start: WriteRecord = {
      key,
      value: null,
      by: 'start',
      via: '',
      invokeMs: momentMs,
      returnMs: momentMs,
      outcome: 'ok',
      effectByMs: momentMs,
      overwrittenMs: Number.POSITIVE_INFINITY,
      overwrittenBy: undefined,
      expiredMs: Number.POSITIVE_INFINITY,
    }
    this.open.add(start)
    this.absences.push(start)
  }
}

export class History {
  readonly #keys = new Map<string, KeyHistory>()
  #beganMs = Number.NEGATIVE_INFINITY

  /** Every key is absent at first. */
  constructor(keys: readonly string[]) {
    for (const key of keys) {
      const history = new KeyHistory()
      history.absentSince(key, this.#beganMs)
      this.#keys.set(key, history)
    }
  }

  get keys(): readonly string[] {
    return [...this.#keys.keys()]
  }

  /** Moment at which this history parted from another one; earlier acknowledgements are void. */
  get beganMs(): number {
    return this.#beganMs
  }

  /**
   * Another history begins, with these values. What has taken effect in the one before and is not among them is
   * void; what had been overwritten since they parted is current again. A write that is still under way may
   * have happened there, or happens here.
   */
  beginAnew(stored: ReadonlyMap<string, string>, nowMs: number): void {
    this.#beganMs = nowMs
    for (const [key, history] of this.#keys) {
      history.latestVia.clear()
      for (const record of history.open) {
        if (record.effectByMs > nowMs) continue
        history.open.delete(record)
        record.overwrittenMs = nowMs
      }
      const value = stored.get(key)
      const current = value === undefined ? undefined : history.byValue.get(value)
      if (value === undefined) history.absentSince(key, nowMs)
      if (current === undefined) continue
      current.effectByMs = nowMs
      current.overwrittenMs = Number.POSITIVE_INFINITY
      current.overwrittenBy = undefined
      history.open.add(current)
    }
  }

  begin(write: Pick<WriteRecord, 'key' | 'value' | 'by' | 'via' | 'invokeMs' | 'lifetimeMs'>): WriteRecord {
    const record: WriteRecord = {
      ...write,
      returnMs: Number.POSITIVE_INFINITY,
      outcome: 'pending',
      effectByMs: Number.POSITIVE_INFINITY,
      overwrittenMs: Number.POSITIVE_INFINITY,
      overwrittenBy: undefined,
      expiredMs: Number.POSITIVE_INFINITY,
    }
    const history = this.#of(write.key)
    history.open.add(record)
    if (write.value === null) history.absences.push(record)
    else history.byValue.set(write.value, record)
    return record
  }

  end(record: WriteRecord, outcome: Outcome, returnMs: number): void {
    const history = this.#of(record.key)
    record.outcome = outcome
    record.returnMs = returnMs
    if (outcome === 'failed') {
      history.open.delete(record)
      if (record.value === null) history.absences.splice(history.absences.indexOf(record), 1)
      return
    }
    if (outcome === 'kept') return
    if (outcome === 'unknown') {
      record.effectByMs = Math.min(record.effectByMs, returnMs + unknownHorizonMs)
      return
    }
    record.effectByMs = Math.min(record.effectByMs, returnMs)
    const latest = history.latestVia.get(record.via)?.invokeMs ?? this.#beganMs
    if (latest <= record.invokeMs) history.latestVia.set(record.via, record)
    if (outcome === 'nothing' && record.value !== null) history.absences.push(record)
    for (const other of history.open) {
      if (other.effectByMs < record.invokeMs) {
        history.open.delete(other)
        other.overwrittenMs = returnMs
        other.overwrittenBy = record
      }
    }
  }

  /**
   * The row that this write made expires between these moments, unless it is overwritten; `isCertain`: it has one that
   * does.
   */
  expires(record: WriteRecord, fromMs: number, toMs: number, isCertain: boolean): void {
    if (isCertain) record.expiredMs = toMs
    const history = this.#of(record.key)
    const expiry: WriteRecord = {
      ...record,
      value: null,
      by: `the expiry of ${record.by}`,
      via: '',
      invokeMs: fromMs,
      returnMs: toMs,
      outcome: 'unknown',
      effectByMs: toMs,
      overwrittenMs: Number.POSITIVE_INFINITY,
      overwrittenBy: undefined,
      expiredMs: Number.POSITIVE_INFINITY,
    }
    history.absences.push(expiry)
    history.open.add(expiry)
  }

  /** Writes that may still take effect, or may have done so without our knowing. */
  unsettled(nowMs: number): readonly WriteRecord[] {
    return [...this.#keys.values()].flatMap(({ open }) =>
      [...open].filter((one) => one.value !== null && one.effectByMs > nowMs),
    )
  }

  /** A reader was shown this value, and not as stale: it has taken effect. */
  seen(key: string, value: string, returnMs: number): void {
    const record = this.#of(key).byValue.get(value)
    if (record) record.effectByMs = Math.min(record.effectByMs, returnMs)
  }

  /** Nothing that this process had kept before `invokeMs` will still be sent after `returnMs`. */
  pendingSettled(via: string, invokeMs: number, returnMs: number): void {
    for (const { open } of this.#keys.values()) {
      for (const record of open) {
        if (record.via === via && record.outcome === 'kept' && record.returnMs < invokeMs)
          record.effectByMs = Math.min(record.effectByMs, returnMs)
      }
    }
  }

  /** The last write of the key that this process has acknowledged so far. */
  acknowledgedVia(key: string, via: string): WriteRecord | undefined {
    return this.#of(key).latestVia.get(via)
  }

  /** Undefined for a value that was never written under this key, or so long ago that it is forgotten. */
  find(key: string, value: string): WriteRecord | undefined {
    return this.#of(key).byValue.get(value)
  }

  /**
   * Returns for how long, at `invokeMs`, the value had certainly been overwritten: 0 if it may have been current then
   * or later, undefined for a value that nobody can have seen.
   */
  stalenessMs(key: string, value: WrittenValue, invokeMs: number, returnMs: number): number | undefined {
    if (value !== null) {
      const record = this.find(key, value)
      if (record === undefined || record.outcome === 'failed' || record.outcome === 'nothing')
        return undefined
      return Math.max(0, invokeMs - record.overwrittenMs)
    }
    const lastMs = this.absences(key, returnMs).reduce(
      (latest, { overwrittenMs }) => Math.max(latest, overwrittenMs),
      Number.NEGATIVE_INFINITY,
    )
    return Math.max(0, invokeMs - lastMs)
  }

  /** All that may have made the key absent, called before this moment. */
  absences(key: string, beforeMs: number): readonly WriteRecord[] {
    return this.#of(key).absences.filter(({ invokeMs }) => invokeMs <= beforeMs)
  }

  /** Every write of the key that is remembered and may have taken effect. */
  writes(key: string): readonly WriteRecord[] {
    const { byValue, absences } = this.#of(key)
    return [...new Set([...byValue.values(), ...absences])].filter(({ outcome }) => outcome !== 'failed')
  }

  /** Frees what was overwritten long ago. The absence overwritten last stays, so that there is always an answer. */
  forget(nowMs: number): void {
    for (const history of this.#keys.values()) {
      for (const [value, record] of history.byValue) {
        const overMs = record.outcome === 'failed' ? record.returnMs : record.overwrittenMs
        if (overMs < nowMs - memoryMs) history.byValue.delete(value)
      }
      const latestMs = history.absences.reduce(
        (latest, { overwrittenMs }) =>
          Number.isFinite(overwrittenMs) ? Math.max(latest, overwrittenMs) : latest,
        Number.NEGATIVE_INFINITY,
      )
      const oldestMs = Math.min(latestMs, nowMs - absenceMemoryMs)
      const kept = history.absences.filter(({ overwrittenMs }) => overwrittenMs >= oldestMs)
      history.absences.splice(0, history.absences.length, ...kept)
    }
  }

  #of(key: string): KeyHistory {
    const history = this.#keys.get(key)
    if (history === undefined) throw new Error(`nobody writes the key ${key}`)
    return history
  }
}
