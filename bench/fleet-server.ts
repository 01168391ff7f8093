import pg from 'pg'
import { lookAtBudget } from '../src/tools/doctor/server.js'
import type { Bench } from './bench.js'
import type { Lifetime } from './lifetime.js'
import type { BenchDatabase, BenchPostgres } from './postgres.js'

/** Maximum number of connections of a sidecar: one that listens, and its pool. */
export const connectionsEach = 3
/** Those of the bench. */
const others = 4
/** Connections that PostgreSQL reserves for superusers by default. */
const reserved = 3

/** Returns the smallest number of connections that `caching-layer doctor` accepts for so many sidecars. */
export function budgetOf(sidecars: number): number {
  return sidecars * connectionsEach + others + reserved
}

/** A server of its own for a fleet, with a database and just enough connections. */
export async function startFleetServer(
  { postgres }: Pick<Bench, 'postgres'>,
  round: Pick<Lifetime, 'teardown'>,
  sidecars: number,
): Promise<{ readonly server: BenchPostgres; readonly database: BenchDatabase }> {
  const server = await postgres.another(round, {
    max_connections: String(budgetOf(sidecars)),
    log_connections: 'on',
    log_line_prefix: '%n %e ',
  })
  const database = await server.database()
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const finding = await lookAtBudget(client, { sidecars, connectionsEach })
  await client.end()
  if (!finding.ok) throw new Error(`the budget is wrong: ${finding.says}`)
  return { server, database }
}
