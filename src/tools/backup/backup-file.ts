import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { renameDurably } from '../../files/rename-durably.js'

export interface BackupFileOptions {
  /** Set to true to replace an existing file of that name. */
  readonly force: boolean
}

/** File that gets its name only once it is complete and on disk. Only this user may read it. */
export class BackupFile {
  readonly #path: string
  readonly #unfinished: string
  readonly #force: boolean
  readonly #handle: FileHandle

  private constructor(path: string, unfinished: string, force: boolean, handle: FileHandle) {
    this.#path = path
    this.#unfinished = unfinished
    this.#force = force
    this.#handle = handle
  }

  /**
   * Creates the file under a temporary name. Throws an Error if the file exists and `force` is false, or on failure.
   */
  static async create(path: string, { force }: BackupFileOptions): Promise<BackupFile> {
    if (!force) refuseExisting(path)
    // Random, because in a container the process id is always the same, and a killed process leaves its file behind.
    const unfinished = `${path}.${randomUUID()}.unfinished`
    return new BackupFile(path, unfinished, force, await open(unfinished, 'wx', 0o600))
  }

  /** Returns a stream that writes to the file, and does not close it. */
  writable(): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#handle.writeFile(chunk).then(() => done(), done)
      },
    })
  }

  /** Gives the file its name. Once this resolves, the file survives a loss of power. */
  async finish(): Promise<void> {
    await this.#handle.sync()
    await this.#handle.close()
    if (!this.#force) refuseExisting(this.#path)
    await renameDurably(this.#unfinished, this.#path)
  }

  /** Removes an unfinished file. Does nothing after finish(). Idempotent. */
  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined)
    await rm(this.#unfinished, { force: true })
  }
}

function refuseExisting(path: string): void {
  if (existsSync(path)) throw new Error(`${path} exists; --force replaces it`)
}
