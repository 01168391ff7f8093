import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ownServer } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Statements are compared as in pg_stat_statements, without parameters and literals. */
t.test('a new session sends no statement that an earlier one has not sent', async (t) => {
  const server = await ownServer(t, { log_statement: 'all', log_line_prefix: '@@%a@@' })
  const texts = async () => {
    const log = await readFile(join(server.dataDir, 'server.log'), 'utf8')
    const lines = log.matchAll(
      /@@caching-layer[^@]*@@LOG: {2}(?:statement|execute [^:]*): ([\s\S]*?)(?=\n@@)/g,
    )
    return Array.from(lines, ([, text]) => text as string)
  }
  const heardOf = async (part: string) => (await texts()).filter((text) => text.includes(part)).length

  const session = async () => {
    const echoes = await heardOf('pg_notify')
    const { sidecar, client } = await startLiveSidecar(t, { databaseUrl: server.url(), maxStalenessMs: 500 })
    await client.set('a', 1)
    await client.get('not there')
    // The one at the start, and one more.
    await eventually(async () => (await heardOf('pg_notify')) >= echoes + 2)
    await client.delete('a')
    await sidecar.close()
  }
  // The first one migrates; its mark is the first of all.
  await session()
  await session()
  t.ok(await heardOf('prepare'), 'statements were seen')
  // A statement that is seldom sent may come now for the first time, but not with each session.
  let added: string[] = []
  for (let count = 0; count < 5; count++) {
    const before = new Set(await texts())
    await session()
    added = (await texts()).filter((text) => !before.has(text))
    if (added.length === 0) break
  }
  t.strictSame(added, [])
})
