import { execFile } from 'node:child_process'
import { chown, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { LocalPostgres } from '../../src/cli/local-postgres.js'

/**
 * A standby that has lost touch with its primary: a copy of the data, made while the server is stopped, which is
 * what a standby has that has received everything up to then and nothing after.
 */
export class Standby {
  readonly #postgres: LocalPostgres
  readonly #folder: string

  private constructor(postgres: LocalPostgres) {
    this.#postgres = postgres
    this.#folder = join(postgres.dataDir, 'standby')
  }

  /** Restarts the server. */
  static async of(postgres: LocalPostgres): Promise<Standby> {
    const standby = new Standby(postgres)
    await postgres.stop('fast')
    // With its owner and its modes, which Node's own copy would change.
    await promisify(execFile)('cp', ['-a', standby.#primary, standby.#folder])
    await postgres.start()
    return standby
  }

  /** In the place of the primary, which has been stopped and is gone. It can be read, and waits to be promoted. */
  async takePlace(): Promise<void> {
    const signal = join(this.#folder, 'standby.signal')
    await writeFile(signal, '')
    const { uid, gid } = await stat(this.#folder)
    await chown(signal, uid, gid)
    await rm(this.#primary, { recursive: true })
    await rename(this.#folder, this.#primary)
    await this.#postgres.start()
  }

  get #primary(): string {
    return join(this.#postgres.dataDir, 'cluster')
  }
}
