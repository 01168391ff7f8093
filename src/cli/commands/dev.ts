import { once } from 'node:events'
import pg from 'pg'
import { ConfigError } from '../../config/config-error.js'
import { openHostWarning, refuseInheritedHost } from '../../config/host-intent.js'
import { loadConfig } from '../../config/load.js'
import { LocalPostgres } from '../../dev/local-postgres.js'
import { SqlServer } from '../../dev/sql-server.js'
import { Sidecar } from '../../sidecar/sidecar.js'
import { createLog } from '../../telemetry/log/log.js'
import type { Command } from '../command.js'

const user = 'cache_user'
const password = 'cache_pass'
const database = 'cache_db'
const sidecars = 2

/** Runs a local PostgreSQL server, two sidecars, and a way to run SQL: everything to try out the program. */
export const dev: Command = {
  options: {},
  settings: true,
  async run({ values, environment, stop, out, note }) {
    const loaded = loadConfig(environment, {
      flags: values,
      defaults: { LOG_LEVEL: 'warn', OPS_HOST: '127.0.0.1' },
    })
    const { config: first, warnings } = loaded
    refuseInheritedHost(loaded)
    for (const warning of [...warnings, openHostWarning(first) ?? []].flat()) note(warning)
    if (first.port + sidecars > 65_535)
      throw new ConfigError('PORT: too high, the next two ports are needed, too')
    if (first.opsPort + sidecars > 65_536)
      throw new ConfigError('OPS_PORT: too high, the next port is needed, too')
    const log = createLog(first.logLevel)
    const stopped = stop.aborted ? Promise.resolve() : once(stop, 'abort')
    const started: { close(): Promise<void> }[] = []
    const opsPorts: number[] = []
    try {
      const postgres = new LocalPostgres({ dataDir: '.data/postgres', port: 5432 })
      started.push({ close: () => postgres.stop('fast') })
      await postgres.start()
      const databaseUrl = await createDatabase(postgres)

      for (let index = 0; index < sidecars; index++) {
        const config = {
          ...first,
          // Two sidecars cannot share one socket.
          socket: undefined,
          port: first.port + index,
          opsPort: first.opsPort === 0 ? 0 : first.opsPort + index,
          databaseUrl,
          databaseListenUrl: databaseUrl,
        }
        const sidecar = new Sidecar({ config, log, migrate: true })
        started.push(sidecar)
        await sidecar.start()
        opsPorts.push(sidecar.opsPort)
      }
      const sql = new SqlServer({ port: first.port + sidecars, databaseUrl })
      started.push(sql)
      await sql.listen()

      out(welcome(first.port, opsPorts, databaseUrl))
      await stopped
    } finally {
      for (const part of started.reverse()) await part.close()
    }
    return 0
  },
}

/** Creates the role and the database of docker-compose.yml in the local server, unless they exist. */
async function createDatabase(postgres: LocalPostgres): Promise<string> {
  const client = new pg.Client({ connectionString: postgres.url() })
  await client.connect()
  try {
    const { rows: roles } = await client.query('select from pg_roles where rolname = $1', [user])
    if (roles.length === 0) await client.query(`create role ${user} login password '${password}'`)
    const { rows: databases } = await client.query('select from pg_database where datname = $1', [database])
    if (databases.length === 0) await client.query(`create database ${database} owner ${user}`)
  } finally {
    await client.end()
  }
  return `postgresql://${user}:${password}@127.0.0.1:${postgres.port}/${database}`
}

function welcome(port: number, opsPorts: readonly number[], databaseUrl: string): string {
  const a = `http://127.0.0.1:${port}`
  const b = `http://127.0.0.1:${port + 1}`
  const sql = `http://127.0.0.1:${port + sidecars}`
  return `
Two sidecars on ${a} and ${b}, on ${databaseUrl}

  Set on one, read on the other, then change the row by SQL and see both follow:

  curl ${a}/cache/set -H 'Content-Type: application/json' -d '{"key":"foo","value":"bar"}'
  curl '${b}/cache/get?key=foo'
  curl ${sql} -H 'Content-Type: application/sql' -d "update cache_entries set value = 'by SQL' where key = 'foo'" && \
curl '${a}/cache/get?key=foo' '${b}/cache/get?key=foo'

  Probes and metrics: ${opsPorts.map((port) => `http://127.0.0.1:${port}/metrics`).join(' ')}

Ctrl-C stops everything; the data stays in .data/.
`
}
