import { once } from 'node:events'
import pg from 'pg'
import type { Config } from '../../config/config.js'
import { ConfigError } from '../../config/config-error.js'
import { openHostWarning, refuseInheritedHost } from '../../config/host-intent.js'
import { loadConfig } from '../../config/load.js'
import { integer } from '../../config/parse.js'
import { readApiToken } from '../../config/read-api-token.js'
import { refuseSharedPorts } from '../../config/shared-ports.js'
import { DemoLoad } from '../../dev/demo-load.js'
import { DevServer } from '../../dev/dev-server.js'
import { LocalPostgres } from '../../dev/local-postgres.js'
import { freshStart } from '../../dev/postgres-folder.js'
import { createSampleTables } from '../../dev/sample-tables.js'
import { namingSettings } from '../../sidecar/listening-error.js'
import { Sidecar } from '../../sidecar/sidecar.js'
import { createLog } from '../../telemetry/log/log.js'
import type { Command } from '../command.js'
import { inspectDatabase } from '../inspect-database.js'
import { parseOption } from '../parse-option.js'
import { version } from '../version.js'
import { welcome } from '../welcome.js'

const user = 'cache_user'
const password = 'cache_pass'
const database = 'cache_db'
const sidecars = 2
const dataDir = '.data/postgres'
const usualPostgresPort = 5432
/** Short heartbeats, so that the fleet is seen to move. */
const defaults = {
  LOG_LEVEL: 'warn',
  OPS_HOST: '127.0.0.1',
  CACHE_FLEET_INTERVAL_MS: '2000',
  CACHE_UI_VALUES: 'on',
}

/** Runs a local PostgreSQL server, two sidecars, and a way to run SQL: everything to try out the program. */
export const dev: Command = {
  options: {
    'postgres-port': {
      type: 'string',
      value: 'PORT',
      about: `port of the PostgreSQL server (${usualPostgresPort}, or another one if that is in use)`,
    },
    demo: { type: 'boolean', about: 'send a small load to both sidecars, on the tables of --sample as well' },
    sample: {
      type: 'boolean',
      about: 'create the tables products and reviews, and bind them and a page to keys',
    },
    'sql-port': {
      type: 'string',
      value: 'PORT',
      about:
        'port of a page to try the sidecars, which also runs the SQL posted to it (PORT + 2; the second sidecar has PORT + 1 and OPS_PORT + 1)',
    },
  },
  settings: 'listed',
  defaults,
  async run({ flags, values, environment, onHangup, stop, out, note }) {
    const postgresPort = portIn(values, 'postgres-port')
    const loaded = loadConfig(environment, { flags: values, defaults })
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
    const host = '127.0.0.1'
    refuseSharedPorts([
      { name: 'PORT', host: first.host, port: first.port },
      { name: 'PORT + 1', host: first.host, port: first.port + 1 },
      { name: 'OPS_PORT', host: first.opsHost, port: first.opsPort },
      { name: 'OPS_PORT + 1', host: first.opsHost, port: first.opsPort && first.opsPort + 1 },
      { name: values.has('sql-port') ? '--sql-port' : `PORT + ${sidecars}`, host, port: sqlPort },
      { name: '--postgres-port', host, port: postgresPort ?? usualPostgresPort },
    ])
    const token = await readApiToken(first)
    const log = createLog(first.logLevel)
    // A terminal that is closed sends SIGHUP. PostgreSQL, in a process group of its own, does not get it.
    const hangup = new AbortController()
    onHangup(() => hangup.abort())
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
        const sidecar = new Sidecar({
          version,
          config,
          settingSources: loaded.sources,
          inspectDatabase,
          log,
          migrate: true,
        })
        started.push(sidecar)
        await sidecar.start()
        opsPorts.push(sidecar.opsPort)
      }
      const isDemo = flags.has('demo')
      const isSample = isDemo || flags.has('sample')
      if (isSample) await createSampleTables(databaseUrl)
      const addresses = opsPorts.map((opsPort, index) => ({
        data: `http://127.0.0.1:${first.port + index}`,
        page: `http://127.0.0.1:${opsPort}/ui/`,
      }))
      const server = new DevServer({ port: sqlPort, databaseUrl, sidecars: addresses, token, isSample })
      started.push(server)
      await server.listen().catch(namingSettings({ host: '--sql-port', port: '--sql-port' }))
      if (isDemo) {
        const load = new DemoLoad({ sidecars: addresses.map(({ data }) => data), token, databaseUrl })
        started.push(load)
        load.start()
      }

      out(
        welcome({
          port: first.port,
          opsPorts,
          sqlPort,
          databaseUrl,
          tokenInShell: token && tokenInShell(first),
          isSample,
          isDemo,
        }),
      )
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

/** Returns the API token as a shell inserts it, so that it is not printed. */
function tokenInShell({ apiTokenFile }: Pick<Config, 'apiTokenFile'>): string {
  return apiTokenFile === undefined ? '$CACHE_API_TOKEN' : `$(cat '${apiTokenFile}')`
}

function portIn(values: ReadonlyMap<string, string>, option: string): number | undefined {
  const text = values.get(option)
  return text === undefined ? undefined : parseOption('dev', option, text, integer(1, 65_535))
}
