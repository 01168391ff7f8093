import { type FSWatcher, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'

export interface FileWatchOptions {
  readonly path: string
  readonly onTouched: () => void
}

/** Delay after an event: a change is seldom a single one. A ConfigMap causes six, an editor two or three. */
const settleMs = 100
const pollMs = 1_000

/**
 * Reports when a file may have new content: it was edited or replaced, or its path leads elsewhere, as when Kubernetes
 * points a ConfigMap's `..data` symlink to a new folder. So it watches the folder, and then looks at the file through
 * all links. If the folder cannot be watched (no inotify handle is left, or the folder is missing), it looks at the
 * file every second until it can.
 */
export class FileWatch {
  readonly #options: FileWatchOptions
  /**
   * Identity of the file when it was last looked at. The initial value matches no file, so changes between the first
   * reading and the watch are not missed.
   */
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

  /** Stops watching. Idempotent. */
  close(): void {
    this.#isClosed = true
    this.#watcher?.close()
    clearTimeout(this.#timer)
  }

  #watch(): void {
    try {
      this.#watcher = watch(dirname(this.#options.path), { persistent: false }, () => this.#lookIn(settleMs))
      this.#watcher.on('error', () => this.#poll())
      // Changes may have happened before the folder was watched.
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

  /**
   * Schedules a look, unless one is scheduled. Further events do not postpone it: in a busy folder they may never end.
   */
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
    // The watch of a deleted folder does not report a new one, so poll for it.
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
