import { type FSWatcher, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'

export interface FileWatchOptions {
  readonly path: string
  readonly onTouched: () => void
}

/** A change is seldom one event: a ConfigMap's is six, an editor's two or three. */
const settleMs = 100
const pollMs = 1_000

/**
 * Tells when a file may have another content: edited, replaced, or reached by another way, as when Kubernetes points
 * a ConfigMap's `..data` symlink to a new folder. So it is the folder that is watched, and the file that is then
 * looked at through all links. Where the folder cannot be watched (no inotify handle is left, or it is gone
 * itself) the file is looked at every second until it can.
 */
export class FileWatch {
  readonly #options: FileWatchOptions
  /** At first something that no file is: what happened between the first reading and the watch is not missed. */
  #identity = ''
  #isClosed = false
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(options: FileWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#watch()
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#watcher?.close()
    clearTimeout(this.#timer)
  }

  #watch(): void {
    try {
      this.#watcher = watch(dirname(this.#options.path), { persistent: false }, () => this.#lookIn(settleMs))
      this.#watcher.on('error', () => this.#poll())
      // For what happened before the folder was watched.
      this.#lookIn(settleMs)
    } catch {
      this.#poll()
    }
  }

  #poll(): void {
    this.#watcher?.close()
    this.#watcher = undefined
    this.#lookIn(pollMs)
  }

  /** Not later for the events that come meanwhile: in a busy folder they may never end. */
  #lookIn(delayMs: number): void {
    if (this.#isClosed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#look()
    }, delayMs).unref()
  }

  #look(): void {
    const { path, onTouched } = this.#options
    const identity = identityOf(path)
    const isTouched = identity !== this.#identity
    this.#identity = identity
    // A folder that is gone is not heard of again when there is a new one.
    if (identity === gone) this.#poll()
    else if (this.#watcher === undefined) this.#watch()
    if (isTouched) onTouched()
  }
}

const gone = 'gone'

function identityOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join()
  } catch {
    return gone
  }
}
