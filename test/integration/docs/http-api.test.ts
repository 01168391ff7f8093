import { readFile } from 'node:fs/promises'
import t from 'tap'
import { freshDatabase } from '../../support/database.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const page = await readFile('docs/reference/http-api.md', 'utf8')
const { url } = await freshDatabase(t)
const { client } = await startLiveSidecar(t, { databaseUrl: url })

t.test('docs/reference/http-api.md lists every endpoint that GET / names', async (t) => {
  const { endpoints } = (await (await fetch(`${client.base}/`)).json()) as { endpoints: string[] }
  t.ok(endpoints.length >= 5)
  for (const endpoint of endpoints) t.ok(page.includes(`| \`${endpoint.replace(/\?.*/, '')}`), endpoint)
})

t.test('it lists every member of GET /cache/stats, and no other', async (t) => {
  const stats = await (await fetch(`${client.base}/cache/stats`)).json()
  const [, section = ''] = /^## Statistics\n(.*?)^## /ms.exec(page) ?? []
  const rows = section.split('\n').filter((line) => line.startsWith('| `'))
  const documented = rows.flatMap((row) =>
    [...(row.split('|')[1] ?? '').matchAll(/`([\w.]+)`/g)].map(([, name]) => name ?? ''),
  )
  // The others are absent without DATABASE_READ_URL.
  t.strictSame(documented.filter((name) => !name.startsWith('replica.')).sort(), membersOf(stats).sort())
})

/** `writes.pending` for `{"writes":{"pending":0}}`. */
function membersOf(value: unknown, path: readonly string[] = []): string[] {
  if (typeof value !== 'object' || value === null) return [path.join('.')]
  return Object.entries(value).flatMap(([name, member]) => membersOf(member, [...path, name]))
}
