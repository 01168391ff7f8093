import type { Base, Entry, Epoch, Mark, Version, Written } from '../entry.js'
import type { Clock } from '../ports.js'
import { ConfirmedVersions } from './confirmed-versions.js'
import type { DatabasePosition } from './database-position.js'
import type { FollowedSession } from './followed-session.js'
import type { SessionToken } from './session-token.js'

export interface KnownVersionsParts {
  readonly clock: Clock
  readonly position: DatabasePosition
  readonly session: FollowedSession
}

const maxWrittenSinceMark = 10_000
/** Number of writes, by anybody, after which a write of this sidecar is no longer known to be its own. */
const ownPlaces = 4_096
/** The store may answer with a mark that another sidecar has made up to 5 seconds before. */
const oldestMarkMs = 6_000

/** A confirmed write, with the time at which its row expires, by the sidecar's clock; undefined if it does not. */
export interface ExpiringWrite extends Written {
  readonly expiresAtMs?: number | undefined
}

interface OwnWrite extends ExpiringWrite {
  /** Time at which it was acknowledged. */
  readonly atMs: number
}

/**
 * Versions as the database has told them to this sidecar: those that are confirmed (P11), those that it wrote itself
 * since the last mark (P9), and the history that they belong to (P1).
 */
export class KnownVersions {
  readonly #parts: KnownVersionsParts
  readonly #confirmed = new ConfirmedVersions()
  /** Versions that this sidecar has written or removed, for people who look at changes. */
  readonly #own = new ConfirmedVersions(ownPlaces)
  /**
   * Writes of this sidecar that the last mark does not cover, by key id. Their entries may not have been put, or may
   * have been evicted since.
   */
  readonly #writtenSinceMark = new Map<string, OwnWrite>()
  #fingerprint: string | undefined

  constructor(parts: KnownVersionsParts) {
    this.#parts = parts
  }

  /** Epoch of the history that is followed; undefined until the first contact. */
  get epoch(): Epoch | undefined {
    return this.#parts.position.epoch
  }

  /** Fingerprint of the table when it was last seen. */
  get fingerprint(): string | undefined {
    return this.#fingerprint
  }

  /**
   * Records the fingerprint of the table. Returns true if it differs from the last one: the table was rewritten, or its
   * triggers changed, so versions may stand for other values.
   */
  tableSeen(fingerprint: string): boolean {
    const before = this.#fingerprint
    this.#fingerprint = fingerprint
    const isChanged = before !== undefined && before !== fingerprint
    if (isChanged) this.#writtenSinceMark.clear()
    return isChanged
  }

  /**
   * Returns true if the store, asked at `askedMs`, has answered from the history that is followed. If it is another
   * one, the session ends.
   */
  isOurs(epoch: Epoch, askedMs: number): boolean {
    const { position, session } = this.#parts
    if (epoch === position.epoch) return true
    if (position.epoch !== undefined) session.foreignHistory(askedMs)
    return false
  }

  /** Records a version that the store has answered with. */
  confirmed(version: Version): void {
    this.#confirmed.add(version)
  }

  /**
   * Records that the store, asked at `askedMs`, has confirmed a write. Returns its version, or undefined if it was
   * written in another history, in which the same version is another write.
   */
  written(id: string, written: ExpiringWrite, askedMs: number): Version | undefined {
    const { version, epoch, expiresAtMs } = written
    if (!this.isOurs(epoch, askedMs)) return undefined
    // If the map is full, it is cleared. A pending write may then be a conflict although nothing has changed.
    if (this.#writtenSinceMark.size >= maxWrittenSinceMark) this.#writtenSinceMark.clear()
    this.#writtenSinceMark.set(id, { version, epoch, expiresAtMs, atMs: this.#parts.clock.now() })
    this.#parts.position.version(version)
    this.#confirmed.add(version)
    this.#own.add(version)
    return version
  }

  /** Records that this sidecar has removed an entry, which has this version now. */
  removed(version: Version): void {
    this.#own.add(version)
  }

  /** Returns true if this sidecar has made a recent change that has this version. */
  isOwn(version: Version): boolean {
    return this.#own.has(version)
  }

  /** Records a change of this key, which may come after a write of this sidecar. */
  changed(id: string, version: Version | undefined): void {
    const own = this.#writtenSinceMark.get(id)
    if (own !== undefined && isLater(version, own.version)) this.#writtenSinceMark.delete(id)
  }

  /** P11: returns true if the store has told this sidecar of the token's write, or of the entry that is held. */
  satisfies({ written }: SessionToken, held: Entry | undefined): boolean {
    if (written === undefined || written.epoch !== this.#parts.position.epoch) return false
    return this.#confirmed.has(written.version) || held?.version === written.version
  }

  /**
   * Remembers the token of a read that has been put, so that it satisfies later reads, too, if the entry is not older.
   * A higher version of the same key was stamped later, under the lock of its row. (A lower one may be later as well;
   * then the store is asked again.) The token is a client's word, and its version may not even be committed yet.
   */
  remember({ written }: SessionToken, entry: Entry): void {
    if (written === undefined || written.epoch !== this.#parts.position.epoch) return
    // The version of a bound row is a hash, which has no order.
    if (!isRowVersion(entry.version)) return
    if (BigInt(entry.version) >= BigInt(written.version.replace('-', '')))
      this.#confirmed.add(written.version)
  }

  /** Returns the base of a new pending write: what its row must still be (P9). */
  baseOf(id: string, entry: Entry | undefined): Base {
    const fingerprint = this.#fingerprint
    if (entry) {
      const { version, mediaType, rowExpiresAtMs } = entry
      const value = entry.isComparable ? entry.value : undefined
      const expiresAtMs = Number.isFinite(rowExpiresAtMs) ? rowExpiresAtMs : undefined
      return { kind: 'held', version, value, mediaType, fingerprint, expiresAtMs }
    }
    const { position } = this.#parts
    const written = this.#writtenSinceMark.get(id)
    if (written?.epoch === position.epoch && written !== undefined && !written.version.startsWith('-'))
      return {
        kind: 'held',
        version: written.version,
        value: undefined,
        fingerprint,
        expiresAtMs: written.expiresAtMs,
      }
    return position.unseen
  }

  /**
   * Records the mark that the store was asked for at `askedMs`. It covers no write of this sidecar that was
   * acknowledged after it was made:
   *   1. the sidecar asks for a mark, and the store makes one       3. the answer to 1. arrives
   *   2. a pending write is settled                                 4. an outage; another write of its key is kept
   * Judged by the mark alone, the row would be newer than everything that this sidecar knows of.
   */
  marked(mark: Mark, latest: bigint, askedMs: number): void {
    this.#parts.position.marked(mark, latest)
    for (const [id, { atMs }] of this.#writtenSinceMark)
      if (atMs < askedMs - oldestMarkMs) this.#writtenSinceMark.delete(id)
  }

  /** Forgets which versions are confirmed, because they may stand for other values. */
  forget(): void {
    this.#confirmed.clear()
  }
}

function isRowVersion(version: Version): boolean {
  return /^\d{1,19}$/.test(version)
}

/** Returns true for an unknown version, too. A version is a number, with a minus sign for a delete. */
function isLater(version: Version | undefined, than: Version): boolean {
  return version === undefined || BigInt(version.replace('-', '')) > BigInt(than.replace('-', ''))
}
