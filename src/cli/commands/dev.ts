import { once } from 'node:events'
import pg from 'pg'
import { ConfigError } from '../../config/config-error.js'
import { openHostWarning, refuseInheritedHost } from '../../config/host-intent.js'
import { loadConfig } from '../../config/load.js'
import { integer } from '../../config/parse.js'
import { LocalPostgres } from '../../dev/local-postgres.js'
import { freshStart } from '../../dev/postgres-folder.js'
import { createSampleTables } from '../../dev/sample-tables.js'
import { SqlServer } from '../../dev/sql-server.js'
import { namingSettings } from '../../sidecar/listening-error.js'
import { Sidecar } from '../../sidecar/sidecar.js'
import { createLog } from '../../telemetry/log/log.js'
import type { Command } from '../command.js'
import { parseOption } from '../parse-option.js'
import { version } from '../version.js'

const user = 'cache_user'
const password = 'cache_pass'
const database = 'cache_db'
const sidecars = 2
const dataDir = '.data/postgres'
const usualPostgresPort = 5432

/** Runs a local PostgreSQL server, two sidecars, and a way to run SQL: everything to try out the program. */
export const dev: Command = {
  options: {
    'postgres-port': {
      type: 'string',
      value: 'PORT',
      about: `port of the PostgreSQL server (${usualPostgresPort}, or another one if that is in use)`,
    },
    sample: {
      type: 'boolean',
      about: 'create the tables products and reviews, and bind them and a page to keys',
    },
    'sql-port': { type: 'string', value: 'PORT', about: 'port that runs the SQL posted to it (PORT + 2)' },
  },
  settings: 'listed',
  async run({ flags, values, environment, onHangup, stop, out, note }) {
    const postgresPort = portIn(values, 'postgres-port')
    const loaded = loadConfig(environment, {
      flags: values,
      defaults: { LOG_LEVEL: 'warn', OPS_HOST: '127.0.0.1' },
    })
    const { config: first, warnings } = loaded
    refuseInheritedHost(loaded)
    for (const warning of [...warnings, openHostWarning(first) ?? []].flat()) note(warning)
    if (first.port === 0)
      throw new ConfigError('PORT: with 0 the other ports are not known; set a fixed port')
    const sqlPort = portIn(values, 'sql-port') ?? first.port + sidecars
    if (first.port + sidecars > 65_535)
      throw new ConfigError('PORT: too high, the next two ports are needed, too')
    if (first.opsPort + sidecars > 65_536)
      throw new ConfigError('OPS_PORT: too high, the next port is needed, too')
    const log = createLog(first.logLevel)
    // A terminal that is closed sends SIGHUP. PostgreSQL, in a process group of its own, does not get it.
    const hangup = new AbortController()
    onHangup?.(() => hangup.abort())
    const end = AbortSignal.any([stop, hangup.signal])
    const stopped = end.aborted ? Promise.resolve() : once(end, 'abort')
    const started: { close(): Promise<void> }[] = []
    const opsPorts: number[] = []
    try {
      const postgres = new LocalPostgres({ dataDir, port: postgresPort ?? usualPostgresPort })
      started.push({ close: () => postgres.stop('fast') })
      // A second Ctrl-C ends this process before that.
      process.once('exit', () => postgres.abandon())
      await postgres.start()
      if (postgresPort !== undefined && postgres.port !== postgresPort)
        throw new Error(`--postgres-port: another process listens on port ${postgresPort}`)
      const databaseUrl = await createDatabase(postgres).catch((error: Error) => {
        throw new Error(`the database ${database}: ${error.message}; ${freshStart(dataDir)}`, {
          cause: error,
        })
      })

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
        const sidecar = new Sidecar({ version, config, log, migrate: true })
        started.push(sidecar)
        await sidecar.start()
        opsPorts.push(sidecar.opsPort)
      }
      const isSample = flags.has('sample')
      if (isSample) await createSampleTables(databaseUrl)
      const sql = new SqlServer({ port: sqlPort, databaseUrl })
      started.push(sql)
      await sql.listen().catch(namingSettings({ host: '--sql-port', port: '--sql-port' }))

      out(welcome({ port: first.port, opsPorts, sqlPort, databaseUrl, isSample }))
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
  const databaseUrl = `postgresql://${user}:${password}@127.0.0.1:${postgres.port}/${database}`
  await tryConnection(databaseUrl)
  return databaseUrl
}

/** Connects once, because damage to the files of one database shows only there. */
async function tryConnection(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  await client.end()
}

function portIn(values: ReadonlyMap<string, string>, option: string): number | undefined {
  const text = values.get(option)
  return text === undefined ? undefined : parseOption('dev', option, text, integer(1, 65_535))
}

interface Started {
  readonly port: number
  readonly opsPorts: readonly number[]
  readonly sqlPort: number
  readonly databaseUrl: string
  readonly isSample: boolean
}

function welcome({ port, opsPorts, sqlPort, databaseUrl, isSample }: Started): string {
  const a = `http://127.0.0.1:${port}`
  const b = `http://127.0.0.1:${port + 1}`
  const sql = `http://127.0.0.1:${sqlPort}`
  return `
Two sidecars on ${a} and ${b}, on ${databaseUrl}

  Set on one, read on the other, then change the row by SQL and see both follow:

  curl -w '\\n' ${a}/cache/set -H 'Content-Type: application/json' -d '{"key":"foo","value":"bar"}'
  curl -w '\\n' '${b}/cache/get?key=foo'
  curl ${sql} -H 'Content-Type: application/sql' -d "update cache_entries set value = 'by SQL' where key = 'foo'" && \
curl -w '\\n' '${a}/cache/get?key=foo' '${b}/cache/get?key=foo'

  psql ${databaseUrl}
${isSample ? sampleText(a, b, databaseUrl) : ''}
  Look at them in a browser: ${opsPorts.map((port) => `http://127.0.0.1:${port}/ui/`).join(' ')}
  Probes and metrics: ${opsPorts.map((port) => `http://127.0.0.1:${port}/metrics`).join(' ')}

Ctrl-C stops everything; the data stays in .data/.
`
}

function sampleText(a: string, b: string, databaseUrl: string): string {
  return `
  Read a row of a bound table on one, change it by SQL, and read it on the other:

  curl -w '\\n' '${a}/cache/get?key=product:1'
  psql ${databaseUrl} -c "update products set price = price + 1 where id = 1"
  curl -w '\\n' '${b}/cache/get?key=product:1'

  The same for a page over both tables:

  curl -w '\\n' '${a}/cache/get?key=product_page:1'
  psql ${databaseUrl} -c "update reviews set stars = 6 - stars where id = 2"
  curl -w '\\n' '${b}/cache/get?key=product_page:1'
`
}
