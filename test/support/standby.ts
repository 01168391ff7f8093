import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { LocalPostgres } from '../../src/dev/local-postgres.js'
import type { Owner } from './database.js'
import { eventually } from './eventually.js'
import { FAST_SETTINGS } from './shared-server.js'

export interface Standby {
  /** Takes the place of the server, on its port: it answers, and refuses to write. The server has been stopped. */
  start(): Promise<void>
  /** Makes it the primary, on a new timeline. Resolves when it reports that. */
  promote(): Promise<void>
}

/** A standby that receives nothing more. To copy it, the server has been stopped. */
export async function standbyOf(t: Owner, server: LocalPostgres): Promise<Standby> {
  const dataDir = await mkdtemp(join(tmpdir(), 'caching-layer-test-'))
  const { port } = server
  const standby = new LocalPostgres({ dataDir, port, settings: FAST_SETTINGS })
  t.teardown(async () => {
    await standby.stop('immediate')
    for (const left of [standby.dataDir, dataDir]) await rm(left, { recursive: true, force: true })
  })
  // Keeps the owner of the files.
  await promisify(execFile)('cp', ['-a', `${server.dataDir}/.`, dataDir])
  await writeFile(join(dataDir, 'cluster', 'standby.signal'), '')

  let ready: Promise<void> | undefined
  return {
    async start() {
      // It is ready when it takes writes.
      ready = standby.start()
      const isThere = eventually(() => answer(server.url(), 'select pg_is_in_recovery() as answer'))
      await Promise.race([isThere, ready])
    },
    async promote() {
      await answer(server.url(), 'select pg_promote() as answer')
      await ready
      if (standby.port !== port) throw new Error(`the standby got port ${standby.port}, not ${port}`)
    },
  }
}

async function answer(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query<{ answer: unknown }>(sql)).rows[0]?.answer
  } finally {
    await client.end()
  }
}
