import { Database, type DatabaseOptions } from '../../postgres/pool/database.js'
import { messageOf } from '../../postgres/pool/errors.js'
import { ReadReplicas } from '../../postgres/replicas/read-replicas.js'
import { SchemaName } from '../../postgres/schema/schema-name.js'
import { bad, type Finding, ok } from './finding.js'
import { reach } from './reach.js'

const timeoutMs = 5_000

/** Checks that fills can be read from the standby at `url`. */
export async function lookAtReplica(
  check: string,
  url: string,
  primary: Database,
  log: DatabaseOptions['log'],
): Promise<Finding> {
  const reached = await reach(check, url)
  if ('finding' in reached) return reached.finding
  await reached.client.end()
  const replicas = new ReadReplicas({
    primary,
    schema: new SchemaName(primary),
    replicas: [new Database({ url, poolSize: 1, timeoutMs, log })],
    clock: { now: () => performance.now() },
    log,
    maxReadBytes: 0,
  })
  try {
    const askedMs = performance.now()
    await replicas.catchUp()
    return ok(check, `replayed everything within ${(performance.now() - askedMs).toFixed(1)} ms`)
  } catch (error) {
    const cure =
      'fills are read from the primary until DATABASE_READ_URL leads to a standby of it that keeps up'
    return bad(check, messageOf(error), cure)
  } finally {
    await replicas.close()
  }
}
