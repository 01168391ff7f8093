export interface Started {
  /** Port of the data listener of the first sidecar. */
  readonly port: number
  readonly opsPorts: readonly number[]
  readonly sqlPort: number
  readonly databaseUrl: string
  /** The API token as a shell inserts it, such as `$CACHE_API_TOKEN`; undefined if there is none. */
  readonly tokenInShell: string | undefined
  readonly isSample: boolean
  readonly isDemo: boolean
}

/** Returns what `dev` prints when everything runs. */
export function welcome({
  port,
  opsPorts,
  sqlPort,
  databaseUrl,
  tokenInShell,
  isSample,
  isDemo,
}: Started): string {
  const curl = tokenInShell === undefined ? 'curl' : `curl -H "Authorization: Bearer ${tokenInShell}"`
  const a = `http://127.0.0.1:${port}`
  const b = `http://127.0.0.1:${port + 1}`
  const sql = `http://127.0.0.1:${sqlPort}`
  const ops = opsPorts.map((port) => `http://127.0.0.1:${port}`)
  return `
Two sidecars on ${a} and ${b}, on ${databaseUrl}

  Try both in a browser:  ${sql}/
  The page of each:       ${ops.map((address) => `${address}/ui/`).join(' ')}
${isDemo ? demoText : ''}
  Set on one, read on the other, then change the row by SQL and see both follow:

  ${curl} -w '\\n' ${a}/cache/set -H 'Content-Type: application/json' -d '{"key":"foo","value":"bar"}'
  ${curl} -w '\\n' '${b}/cache/get?key=foo'
  curl ${sql} -H 'Content-Type: application/sql' -d "update cache_entries set value = 'by SQL' where key = 'foo'" && \
${curl} -w '\\n' '${a}/cache/get?key=foo' '${b}/cache/get?key=foo'

  psql ${databaseUrl}
${isSample ? sampleText({ a, b, databaseUrl, curl }) : ''}
  Probes and metrics: ${ops.map((address) => `${address}/metrics`).join(' ')}

Ctrl-C stops everything; the data stays in .data/.
`
}

const demoText = `
  A small load runs until you stop it: reads, sets and deletes at both, and changes by SQL.
`

function sampleText({
  a,
  b,
  databaseUrl,
  curl,
}: Readonly<Record<'a' | 'b' | 'databaseUrl' | 'curl', string>>): string {
  return `
  Read a row of a bound table on one, change it by SQL, and read it on the other:

  ${curl} -w '\\n' '${a}/cache/get?key=product:1'
  psql ${databaseUrl} -c "update products set price = price + 1 where id = 1"
  ${curl} -w '\\n' '${b}/cache/get?key=product:1'

  The same for a page over both tables:

  ${curl} -w '\\n' '${a}/cache/get?key=product_page:1'
  psql ${databaseUrl} -c "update reviews set stars = stars % 5 + 1 where id = 2"
  ${curl} -w '\\n' '${b}/cache/get?key=product_page:1'
`
}
