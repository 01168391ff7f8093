import { readFile } from 'node:fs/promises'
import t from 'tap'
import { freshDatabase } from '../../support/database.js'
import { shell } from '../../support/shell.js'
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

t.test('its commands do what it says, one after another', async (t) => {
  const commands = [...page.matchAll(/^```sh\n(.*?)^```/gms)]
    .map(([, block = '']) => block.replaceAll('http://127.0.0.1:8025', client.base))
    .join('')
    // The tool is not installed.
    .replaceAll(/^npx .*$/gm, '')
    // It does not end.
    .replaceAll(/^curl -N (.*)$/gm, 'curl -N -m 1 $1 2> /dev/null || true')
  const curl = `curl() { command curl -sS -w '%{stderr}%{http_code}\\n' "$@"; echo; }; set -e\n`
  const { code, stdout, stderr } = await shell(t, curl + commands)
  t.equal(code, 0, stderr)
  t.same(stderr.trim().split('\n').map(Number), [
    // A first set, get and delete; reads; an entry.
    ...[200, 200, 200],
    ...[200, 200, 200],
    ...[201, 200, 200, 204],
    // A time to live, conditions, several keys, a time to live, a batch.
    ...[201],
    ...[201, 200, 304, 204],
    ...[200],
    ...[200, 200],
    ...[200],
    // A group, a lease, changes, a list, statistics, OpenAPI.
    ...[200, 200],
    ...[404, 201],
    ...[404],
    ...[200, 200, 200, 200, 200],
    ...[200],
    ...[200],
  ])
  t.match(stdout, /"entries":\[\{"key":"foo",.*"missing":\["none"\]/)
  t.match(stdout, /\{"removed":1\}/)
  t.match(stdout, /"key":"user:1".*"size":12.*"next":"user:2"/)
  t.match(stdout, /\{"count":3\}/)
  t.match(stdout, /^event: open$/m)
})

/** `writes.pending` for `{"writes":{"pending":0}}`. */
function membersOf(value: unknown, path: readonly string[] = []): string[] {
  if (typeof value !== 'object' || value === null) return [path.join('.')]
  return Object.entries(value).flatMap(([name, member]) => membersOf(member, [...path, name]))
}
