import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { LocalPostgres } from '../../src/dev/local-postgres.js'
import type { Owner } from './database.js'
import { FAST_SETTINGS } from './shared-server.js'

export interface StreamingStandby {
  readonly server: LocalPostgres
  url(database?: string): string
  query<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]>
}

/**
 * Starts a hot standby that streams from the server. The server is restarted, so that its data can be copied. The
 * standby is stopped at the end of the test.
 */
export async function streamingStandbyOf(
  t: Owner,
  primary: LocalPostgres,
  settings: Readonly<Record<string, string>> = {},
): Promise<StreamingStandby> {
  const dataDir = await mkdtemp(join(tmpdir(), 'caching-layer-test-'))
  const server = new LocalPostgres({
    dataDir,
    settings: {
      ...FAST_SETTINGS,
      primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres application_name=standby`,
      // Reconnects at once: the default waits 5 s.
      wal_retrieve_retry_interval: '100ms',
      ...settings,
    },
  })
  t.teardown(async () => {
    await server.stop('immediate')
    for (const folder of [server.dataDir, dataDir]) await rm(folder, { recursive: true, force: true })
  })
  await primary.stop('fast')
  // Keeps the owner of the files.
  await promisify(execFile)('cp', ['-a', `${primary.dataDir}/.`, dataDir])
  await writeFile(join(dataDir, 'cluster', 'standby.signal'), '')
  await primary.start()
  await server.start()
  return {
    server,
    url: (database) => server.url(database),
    async query<Row extends pg.QueryResultRow>(sql: string) {
      const client = new pg.Client({ connectionString: server.url() })
      await client.connect()
      try {
        return (await client.query<Row>(sql)).rows
      } finally {
        await client.end()
      }
    },
  }
}
