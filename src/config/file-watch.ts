import { unwatchFile, watchFile } from 'node:fs'

export interface FileWatchOptions {
  readonly path: string
  readonly onTouched: () => void
  /** Time between two looks at the file. */
  readonly pollMs?: number
}

const usualPollMs = 1_000
/** Time for a writer to finish. A file that is read half written may be valid YAML. */
const settleMs = 100

/**
 * Reports when a file may have new content: it was edited or replaced, or its path leads elsewhere, as when Kubernetes
 * points a ConfigMap's `..data` symlink to a new folder. The file is polled. Its folder could be watched instead, which
 * is a second faster, but needs an inotify handle, of which a node may have none left, and still needs polling: for
 * folders that do not exist yet, and for mounted folders whose changes are made elsewhere and so cause no event.
 */
export class FileWatch {
  readonly #options: FileWatchOptions
  #timer: NodeJS.Timeout | undefined

  constructor(options: FileWatchOptions) {
    this.#options = options
  }

  /** Starts watching, and reports once, because the file may have changed after it was read. */
  start(): void {
    const { path, pollMs = usualPollMs } = this.#options
    watchFile(path, { interval: pollMs, persistent: false }, this.#reportSoon)
    this.#reportSoon()
  }

  /** Stops watching. Idempotent. */
  close(): void {
    unwatchFile(this.#options.path, this.#reportSoon)
    clearTimeout(this.#timer)
  }

  readonly #reportSoon = (): void => {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#options.onTouched()
    }, settleMs).unref()
  }
}
