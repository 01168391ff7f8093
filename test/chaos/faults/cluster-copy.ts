import { execFile } from 'node:child_process'
import { chown, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import type { LocalPostgres } from '../../../src/dev/local-postgres.js'

const run = promisify(execFile)

/** A copy of a server's data, like a snapshot of its file system, or like a standby that is no longer connected. */
export class ClusterCopy {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Copies the data of a server that is stopped for it and started again. */
  static async ofStopped(postgres: LocalPostgres): Promise<ClusterCopy> {
    const folder = join(postgres.dataDir, 'copy')
    await postgres.stop('fast')
    await copy(clusterOf(postgres), folder)
    await postgres.start()
    return new ClusterCopy(folder)
  }

  /** Copies the data of a server that goes on running, as a base backup. It has to be started as a standby. */
  static async ofRunning(postgres: LocalPostgres): Promise<ClusterCopy> {
    const folder = join(postgres.dataDir, 'copy')
    const client = new pg.Client({ connectionString: postgres.url() })
    await client.connect()
    try {
      await client.query(`select pg_backup_start('copy', fast => true)`)
      await copy(clusterOf(postgres), folder)
      const { rows } = await client.query<{ labelfile: string }>(
        'select labelfile from pg_backup_stop(wait_for_archive => false)',
      )
      // Includes the log of the changes that were made during the copy.
      await run('cp', ['-a', `${join(clusterOf(postgres), 'pg_wal')}/.`, join(folder, 'pg_wal')])
      for (const name of ['postmaster.pid', 'postmaster.opts']) await rm(join(folder, name), { force: true })
      await writeOwned(folder, 'backup_label', String(rows[0]?.labelfile))
    } finally {
      await client.end()
    }
    return new ClusterCopy(folder)
  }

  /** The data of a server that has been stopped for good. */
  static ofEnded(postgres: LocalPostgres): ClusterCopy {
    return new ClusterCopy(clusterOf(postgres))
  }

  /**
   * Puts the copy in the place of a server's data, which are gone then, and starts the server. A standby can be read,
   * and waits to be promoted. A primary goes on from where the copy was made, in the same timeline.
   */
  async takePlace(postgres: LocalPostgres, role: 'primary' | 'standby'): Promise<void> {
    if (role === 'standby') await writeOwned(this.#folder, 'standby.signal', '')
    await rm(clusterOf(postgres), { recursive: true, force: true })
    await ownAs(this.#folder, postgres.dataDir)
    await rename(this.#folder, clusterOf(postgres))
    await postgres.start()
  }
}

function clusterOf(postgres: LocalPostgres): string {
  return join(postgres.dataDir, 'cluster')
}

/** Copies a folder with its owners and modes, which Node's own function would change. */
async function copy(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true })
  await run('cp', ['-a', from, to])
}

async function writeOwned(folder: string, name: string, text: string): Promise<void> {
  const file = join(folder, name)
  await writeFile(file, text)
  await ownAs(folder, file)
}

async function ownAs(one: string, other: string): Promise<void> {
  const { uid, gid } = await stat(one)
  await chown(other, uid, gid)
}
