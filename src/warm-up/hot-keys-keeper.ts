import type { Cache } from '../core/cache.js'
import type { Log } from '../core/ports.js'
import { errorMessage } from '../errors/error-message.js'
import type { HotKeysFile } from './hot-keys-file.js'

export interface HotKeysKeeperParts {
  readonly file: HotKeysFile
  readonly cache: Pick<Cache, 'heldKeys'>
  readonly log: Log
  readonly intervalMs?: number
}

/** Writes the list of the keys held, every minute and at the end. */
export class HotKeysKeeper {
  readonly #parts: HotKeysKeeperParts
  #timer: NodeJS.Timeout | undefined
  #saving: Promise<void> | undefined
  #lastReason = ''

  constructor(parts: HotKeysKeeperParts) {
    this.#parts = parts
  }

  start(): void {
    const { intervalMs = 60_000, file } = this.#parts
    this.#timer = setInterval(() => void this.#save(), intervalMs).unref()
    // If the folder cannot be written to, that has to be reported now, and not at the end.
    this.#saving = this.#attempt(() => file.prepare())
  }

  /** Writes the list once more, if the keeper was started. Idempotent. */
  async close(): Promise<void> {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    await this.#saving
    await this.#save()
  }

  /** Writes the list, unless a write is under way already: a slow disk gets one list at a time. */
  #save(): Promise<void> {
    const { file, cache } = this.#parts
    this.#saving ??= this.#attempt(async () => {
      const keys = await cache.heldKeys()
      // An empty cache says nothing about which keys will be needed; the last list does.
      if (keys.length > 0) await file.write(keys)
    })
    return this.#saving
  }

  async #attempt(write: () => Promise<void>): Promise<void> {
    const { file, log } = this.#parts
    try {
      await write()
      this.#lastReason = ''
    } catch (error) {
      const reason = errorMessage(error)
      if (reason !== this.#lastReason)
        log.warn({ path: file.path, reason }, 'cannot write the list of hot keys')
      this.#lastReason = reason
    } finally {
      this.#saving = undefined
    }
  }
}
