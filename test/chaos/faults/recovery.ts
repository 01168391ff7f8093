import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from '../fleet/fleet.js'
import { type SidecarStats, statsOf } from '../fleet/observer.js'
import { Calm } from './calm.js'
import type { FaultKind } from './schedule.js'

export interface Recovered {
  readonly kind: FaultKind
  /** Time in ms from the fault until the sidecar reported the loss of its feed, if it could report it. */
  readonly noticedMs: number | undefined
  /** Time in ms from the end of the fault until the sidecar reported a live feed; undefined if it did not lose it. */
  readonly recoveredMs: number | undefined
  /** Later than promised. */
  readonly isLate: boolean
  /** Another fault was under way for it at some time: nothing was measured. */
  readonly isDisturbed: boolean
}

const everyMs = 25
/** Time in ms after L after which a sidecar that has not lost its feed will not lose it. */
const unnoticedMs = 500
export const recoveryLimitMs = 30_000

/** Promised time in ms until the feed is live again, after the fault has ended and the loss has been noticed. */
const backWithinMs = 3_000
/**
 * Time in ms without faults after which a sidecar must recover within the limit, even if it was disturbed repeatedly
 * before.
 */
const calmMs = 10_000
/** Nobody says a word: the sidecar has to notice by itself, within L. */
const silent: ReadonlySet<FaultKind> = new Set(['half-open', 'half-open listener'])

interface Watched {
  readonly kind: FaultKind
  readonly member: Member
  readonly beganMs: number
  healedMs: number | undefined
  isDisturbed: boolean
}

export interface RecoveryWatchOptions {
  readonly maxStalenessMs: number
  /** A machine that is busy with other things may take so much longer: that is counted as late, and is no violation. */
  readonly allowanceMs: number
  readonly onTooLate: (member: Member, what: string) => void
}

/** Measures how long it takes until a sidecar is itself again, where one fault alone is to blame. */
export class RecoveryWatch {
  readonly recovered: Recovered[] = []
  readonly #options: RecoveryWatchOptions
  readonly #watched = new Set<Watched>()
  readonly #watching = new Set<Promise<void>>()
  readonly #calm = new Calm<Member>()

  constructor(options: RecoveryWatchOptions) {
    this.#options = options
  }

  /** Watches that are still under way. */
  get waiting(): number {
    return this.#watching.size
  }

  /**
   * A fault begins for this sidecar. Call what is returned at its end; the first time counts. `isReplaced`: it is
   * another process then, and what counts is only when its feed is live.
   */
  async begin(kind: FaultKind, member: Member, isReplaced = false): Promise<() => void> {
    const others = [...this.#watched].filter((one) => one.member === member)
    for (const other of others) other.isDisturbed = true
    const isDisturbed = others.length > 0
    const watched: Watched = { kind, member, beganMs: performance.now(), healedMs: undefined, isDisturbed }
    this.#watched.add(watched)
    this.#calm.disturb(member)
    const lossesBefore = isReplaced ? -1 : (await statsOf(member))?.feed.losses
    if (lossesBefore === undefined) watched.isDisturbed = true
    const watching = this.#watch(watched, lossesBefore ?? -1).finally(() => {
      this.#watched.delete(watched)
      this.#watching.delete(watching)
    })
    this.#watching.add(watching)
    return () => {
      if (watched.healedMs !== undefined) return
      watched.healedMs = performance.now()
      this.#calm.leave(member, watched.healedMs)
    }
  }

  /**
   * Waits for something other than the feed, now that the fault has ended. `limitMs`: after so long it is a violation,
   * unless another fault was under way. `isWithinFault`: the fault itself still is.
   */
  async untilBack(
    kind: FaultKind,
    member: Member,
    isBack: () => Promise<boolean>,
    { limitMs = backWithinMs + this.#options.allowanceMs, isWithinFault = false }: UntilBackOptions = {},
  ): Promise<void> {
    const { allowanceMs } = this.#options
    const own = isWithinFault ? 1 : 0
    const healedMs = performance.now()
    while (!(await isBack())) {
      const nowMs = performance.now()
      if (nowMs - healedMs > recoveryLimitMs && this.#calm.ms(member, nowMs, own) > calmMs)
        return this.#tooLate(kind, member)
      await sleep(everyMs)
    }
    const nowMs = performance.now()
    const recoveredMs = nowMs - healedMs
    if (this.#calm.ms(member, nowMs, own) < recoveredMs) {
      const nothing = { noticedMs: undefined, recoveredMs: undefined }
      this.recovered.push({ kind, ...nothing, isLate: false, isDisturbed: true })
      return
    }
    const isLate = recoveredMs > Math.max(backWithinMs, limitMs - allowanceMs)
    if (recoveredMs > limitMs)
      this.#options.onTooLate(member, `was itself again only ${Math.round(recoveredMs)} ms after "${kind}"`)
    this.recovered.push({ kind, noticedMs: undefined, recoveredMs, isLate, isDisturbed: false })
  }

  #tooLate(kind: FaultKind, member: Member): void {
    this.#options.onTooLate(member, `is not itself again ${recoveryLimitMs} ms after "${kind}"`)
  }

  async settled(): Promise<void> {
    await Promise.all(this.#watching)
  }

  async #watch(watched: Watched, lossesBefore: number): Promise<void> {
    const { kind, member } = watched
    let noticedAtMs: number | undefined
    for (;;) {
      // About the time before the end of the fault, the response says only that the loss was noticed.
      const { healedMs } = watched
      const stats = await statsOf(member)
      const nowMs = performance.now()
      const isLost = stats !== undefined && stats.feed.losses > lossesBefore
      if (isLost && lossesBefore >= 0 && kind !== 'freeze') noticedAtMs ??= nowMs
      if (healedMs !== undefined) {
        const isLive = stats !== undefined && this.#isLive(stats)
        if (isLive && (isLost || nowMs - healedMs > this.#options.maxStalenessMs + unnoticedMs)) {
          this.#take(watched, isLost ? { healedMs, noticedAtMs, liveAtMs: nowMs } : undefined)
          return
        }
        if (nowMs - healedMs > recoveryLimitMs && this.#calm.ms(member, nowMs) > calmMs) {
          this.#tooLate(kind, member)
          return
        }
      }
      await sleep(everyMs)
    }
  }

  /** `times`: undefined when the feed was not lost. */
  #take({ kind, member, beganMs, isDisturbed }: Watched, times: Times | undefined): void {
    if (isDisturbed || times === undefined) {
      this.recovered.push({ kind, noticedMs: undefined, recoveredMs: undefined, isLate: false, isDisturbed })
      return
    }
    const { healedMs, noticedAtMs, liveAtMs } = times
    const noticedMs = noticedAtMs === undefined ? undefined : noticedAtMs - beganMs
    const backMs = liveAtMs - Math.max(healedMs, noticedAtMs ?? healedMs)
    const { maxStalenessMs, allowanceMs, onTooLate } = this.#options
    const noticeOverMs = silent.has(kind) ? (noticedMs ?? 0) - maxStalenessMs : 0
    const backOverMs = backMs - backWithinMs
    if (noticeOverMs > allowanceMs)
      onTooLate(
        member,
        `took ${Math.round(noticedMs ?? 0)} ms to notice "${kind}" (L is ${maxStalenessMs} ms)`,
      )
    if (backOverMs > allowanceMs)
      onTooLate(member, `had a live feed only ${Math.round(backMs)} ms after the end of "${kind}"`)
    const isLate = noticeOverMs > 0 || backOverMs > 0
    this.recovered.push({ kind, noticedMs, recoveredMs: liveAtMs - healedMs, isLate, isDisturbed })
  }

  #isLive({ feed }: SidecarStats): boolean {
    const { maxStalenessMs } = this.#options
    return feed.state === 'live' && feed.lease_age_ms !== null && feed.lease_age_ms <= maxStalenessMs
  }
}

export interface UntilBackOptions {
  readonly limitMs?: number
  readonly isWithinFault?: boolean
}

interface Times {
  readonly healedMs: number
  readonly noticedAtMs: number | undefined
  readonly liveAtMs: number
}
