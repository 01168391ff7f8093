/** Runs the commands of docs/tutorial/film-database.md, and compares what they print. */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { DevServer } from '../../../src/dev/dev-server.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { freePorts } from '../../support/free-ports.js'
import { shell } from '../../support/shell.js'
import { startLiveSidecar } from '../../support/sidecar.js'

t.test('the commands of the tutorial print what it says', async (t) => {
  const { url } = await cacheDatabase(t)
  const [one, other] = [
    await startLiveSidecar(t, { databaseUrl: url }),
    await startLiveSidecar(t, { databaseUrl: url }),
  ]
  const port = await freePorts(1)
  const sql = new DevServer({ port, databaseUrl: url, sidecars: [], isSample: false })
  await sql.listen()
  t.teardown(() => sql.close())
  const here = (text: string) =>
    text
      .replaceAll('http://127.0.0.1:8025', one.client.base)
      .replaceAll('http://127.0.0.1:8026', other.client.base)
      .replaceAll('http://127.0.0.1:8027', `http://127.0.0.1:${port}`)
      .replaceAll('postgresql://cache_user:cache_pass@127.0.0.1:5432/cache_db', url)
      .replaceAll('node dist/main.js', 'caching-layer')
  const run = async (command: string) => {
    const { stdout, stderr } = await shell(t, here(command))
    return `${stdout}${command.includes('bind --file') ? stderr : ''}`.trim()
  }
  const page = await readFile('docs/tutorial/film-database.md', 'utf8')
  const steps = [...page.matchAll(/^```sh\n([^`]*)^```\n\n^```\n([^`]*)^```$/gm)]
  t.equal(steps.length, 8)
  for (const [, commands = '', printed = ''] of steps) {
    const each =
      commands.includes('-d "\n') || commands.startsWith('export') ? [commands] : commands.trim().split('\n')
    const lines = printed.trim().split('\n')
    const expected = each.length === 1 ? [printed.trim()] : lines
    t.equal(each.length, expected.length)
    for (const [index, command] of each.entries()) {
      const isSame = (text: string) => text.replace('"source":"cache"', '"source":"db"') === expected[index]
      if (command.includes('/cache/get')) await eventually(async () => isSame(await run(command)))
      else t.equal(await run(command), expected[index])
    }
  }
})
