import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { Writable } from 'node:stream'
import { renameDurably } from '../../files/rename-durably.js'

export interface BackupFileOptions {
  /** Whether a file of that name may be there already, and is replaced. */
  readonly force: boolean
}

/** A file that has its name only once it is complete and on the disk. Only this user may read it. */
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

  /** Throws an Error when the file exists and must not, or cannot be made. */
  static async create(path: string, { force }: BackupFileOptions): Promise<BackupFile> {
    if (!force) refuseExisting(path)
    // In a container the process id is always the same, and one that was killed leaves its file.
    const unfinished = `${path}.${randomUUID()}.unfinished`
    return new BackupFile(path, unfinished, force, await open(unfinished, 'wx', 0o600))
  }

  /** Does not close it. */
  writable(): Writable {
    return new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.#handle.writeFile(chunk).then(() => done(), done)
      },
    })
  }

  /** From now on it is there, also after a loss of power. */
  async finish(): Promise<void> {
    await this.#handle.sync()
    await this.#handle.close()
    if (!this.#force) refuseExisting(this.#path)
    await renameDurably(this.#unfinished, this.#path)
  }

  /** Leaves nothing behind. After finish() it does nothing. Idempotent. */
  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined)
    await rm(this.#unfinished, { force: true })
  }
}

function refuseExisting(path: string): void {
  if (existsSync(path)) throw new Error(`${path} exists; --force replaces it`)
}
