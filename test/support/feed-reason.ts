import type { Test } from 'tap'
import { eventually } from './eventually.js'
import type { StartedSidecar } from './sidecar.js'

/**
 * Matches names of roles, schemas, tables, columns, triggers and files, which no response in the pod network may have.
 */
const names = /cache_|public\.|"public"|test_|trigger cache|127\.0\.0\.1|localhost|nowhere|\.sql|\//

/**
 * Resolves once the log says that there is no change feed for this reason. `GET /health` and `/readyz?verbose` must
 * name its kind and the cure, and no object of the database.
 */
export async function blamed(
  t: Test,
  { client, ops, log }: Pick<StartedSidecar, 'client' | 'ops' | 'log'>,
  reason: RegExp,
  cure: RegExp = /run "caching-layer (doctor|migrate)"/,
): Promise<void> {
  const shown = await eventually(async () => {
    const lines = log.map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
    const isLogged = lines.some(
      ({ msg, reason: logged }) => /^no change feed/.test(String(msg)) && reason.test(String(logged)),
    )
    const { feed, reason: shown } = (await client.request('GET', '/health')).body
    return isLogged && feed === 'down' ? String(shown) : undefined
  })
  const ready = (await ops.request('GET', '/readyz?verbose')).text.replaceAll('\\"', '"')
  for (const text of [String(shown), ready]) {
    t.match(text, cure)
    t.notMatch(text.replace('caching-layer', ''), names)
    t.notMatch(text.trim(), /\n/)
  }
}
