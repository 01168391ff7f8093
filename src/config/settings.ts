import { parseConnectionUrl } from '../connection-url/connection-url.js'
import { redactUrl } from '../connection-url/redact-url.js'
import { separateUrls } from '../connection-url/separate-urls.js'
import {
  address,
  anyText,
  bearerToken,
  fraction,
  hostNames,
  integer,
  oneOf,
  onOrOff,
  type PrefixSeconds,
  postgresUrl,
  postgresUrls,
  seconds,
  secondsByPrefix,
  socketPath,
  type WarmSource,
  warmSource,
} from './parse.js'
import { setting } from './setting.js'

const hasPassword = (url: string) => parseConnectionUrl(url).password !== ''

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export type LogLevel = (typeof logLevels)[number]

/** All settings, with all defaults. */
export const settings = {
  configFile: setting<string | undefined>({
    variable: 'CACHE_CONFIG_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'JSON or YAML file with settings, by these names.',
  }),
  host: setting({
    variable: 'HOST',
    fallback: 'localhost',
    parse: address,
    about: 'Address of the data listener; `localhost` means 127.0.0.1 and ::1.',
  }),
  port: setting({
    variable: 'PORT',
    fallback: 8025,
    parse: integer(0, 65_535),
    about: 'Port of the data listener. Set 0 to use any free port.',
  }),
  socket: setting<string | undefined>({
    variable: 'CACHE_SOCKET',
    fallback: undefined,
    parse: socketPath,
    about:
      'Path of a Unix socket (mode 0660) on which the data listener listens instead of `HOST` and `PORT`.',
  }),
  allowedHosts: setting<readonly string[]>({
    variable: 'CACHE_ALLOWED_HOSTS',
    fallback: [],
    parse: hostNames,
    about:
      'Host names that requests may use, such as the name of a Compose service or a pod. `localhost`, `HOST`, ' +
      '`OPS_HOST` and every IP address are always allowed. Set `*` to allow any name.',
  }),
  apiToken: setting<string | undefined>({
    variable: 'CACHE_API_TOKEN',
    fallback: undefined,
    parse: bearerToken,
    redact: () => '(a token)',
    isSecret: () => true,
    about:
      'Token that every request to the data listener must carry as `Authorization: Bearer`. `/health` needs none.',
  }),
  apiTokenFile: setting<string | undefined>({
    variable: 'CACHE_API_TOKEN_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'File that contains the token of `CACHE_API_TOKEN`. It is read at the start and every 10 s.',
  }),
  maxConnections: setting<number | undefined>({
    variable: 'CACHE_MAX_CONNECTIONS',
    fallback: undefined,
    parse: integer(1, 1_000_000),
    unit: 'connections',
    about:
      'Maximum number of open connections on the data listener. Beyond it, the connection that has been idle ' +
      'longest is closed. Default: one for each 64 KiB of `CACHE_MEMORY_BYTES`, at most 10,000.',
  }),
  opsHost: setting({
    variable: 'OPS_HOST',
    fallback: '::',
    parse: address,
    about: 'Address of the operations listener; `::` means every IPv4 and IPv6 address.',
  }),
  opsPort: setting({
    variable: 'OPS_PORT',
    fallback: 9025,
    parse: integer(0, 65_535),
    about: 'Port of the operations listener. Set 0 to use any free port.',
  }),
  databaseUrl: setting({
    variable: 'DATABASE_URL',
    fallback: 'postgresql://cache_user:cache_pass@127.0.0.1:5432/cache_db',
    parse: postgresUrl,
    redact: redactUrl,
    isSecret: hasPassword,
    about: 'Connection URL of the database: PostgreSQL 14 or later, encoding UTF-8.',
  }),
  databaseListenUrl: setting({
    variable: 'DATABASE_LISTEN_URL',
    fallback: '',
    like: 'databaseUrl',
    parse: postgresUrl,
    redact: redactUrl,
    isSecret: hasPassword,
    about:
      'URL of a direct connection for LISTEN and migrations. Set it when `DATABASE_URL` leads through a pooler.',
  }),
  databaseReadUrls: setting<readonly string[]>({
    variable: 'DATABASE_READ_URL',
    fallback: [],
    parse: postgresUrls,
    isSecret: (text) => separateUrls(text).some(hasPassword),
    redact: (text) => separateUrls(text).map(redactUrl).join(' '),
    about: 'URLs of streaming standbys that fills may read from, separated by spaces or commas.',
  }),
  databaseUrlFile: setting<string | undefined>({
    variable: 'DATABASE_URL_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'File that contains `DATABASE_URL`. It is read again for each new connection.',
  }),
  databaseListenUrlFile: setting<string | undefined>({
    variable: 'DATABASE_LISTEN_URL_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'File that contains `DATABASE_LISTEN_URL`. It is read again for each new connection.',
  }),
  databaseReadUrlFile: setting<string | undefined>({
    variable: 'DATABASE_READ_URL_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'File that contains `DATABASE_READ_URL`. It is read again for each new connection.',
  }),
  databasePasswordFile: setting<string | undefined>({
    variable: 'DATABASE_PASSWORD_FILE',
    fallback: undefined,
    parse: anyText,
    about:
      'File that contains the password for the database URLs that have none. It is read again for each new connection.',
  }),
  databasePoolSize: setting({
    variable: 'DATABASE_POOL_SIZE',
    fallback: 2,
    parse: integer(1, 100),
    unit: 'connections',
    about: 'Maximum number of connections for statements. The listening connection comes on top.',
  }),
  databaseTimeoutMs: setting({
    variable: 'DATABASE_TIMEOUT_MS',
    fallback: 2_000,
    parse: integer(100, 600_000),
    unit: 'ms',
    about: 'Maximum time that a request waits for its statement to start, and again for it to finish.',
  }),
  memoryBytes: setting<number | undefined>({
    variable: 'CACHE_MEMORY_BYTES',
    fallback: undefined,
    parse: integer(16 * 1024 * 1024, Number.MAX_SAFE_INTEGER),
    unit: 'bytes',
    about:
      'Memory for entries (half of it), values being read, responses, request bodies and pending writes. By ' +
      'default it follows from the limits of the container and the heap.',
  }),
  capacity: setting({
    variable: 'CACHE_CAPACITY',
    fallback: 1_000,
    parse: integer(1, 100_000_000),
    unit: 'entries',
    about: 'Maximum number of entries in memory.',
    reloads: true,
  }),
  maxBytes: setting<number | undefined>({
    variable: 'CACHE_MAX_BYTES',
    fallback: undefined,
    parse: integer(1, Number.MAX_SAFE_INTEGER),
    unit: 'bytes',
    about: 'Maximum size of all keys and values in memory.',
    reloads: true,
  }),
  maxValueBytes: setting({
    variable: 'CACHE_MAX_VALUE_BYTES',
    fallback: 1024 * 1024,
    parse: integer(1, 256 * 1024 * 1024),
    unit: 'bytes',
    about: 'Maximum size of the request body of a set.',
  }),
  ttlSeconds: setting({
    variable: 'CACHE_TTL_SECONDS',
    fallback: 60,
    parse: seconds,
    unit: 's',
    about: 'Time to live of an entry in memory. Set 0 to keep entries until they change.',
    reloads: true,
  }),
  ttlRules: setting<readonly PrefixSeconds[]>({
    variable: 'CACHE_TTL_RULES',
    fallback: [],
    parse: secondsByPrefix,
    show: (rules) => rules.map(({ prefix, seconds }) => `${prefix}=${seconds}`).join(),
    about: 'Times to live by key prefix, such as `user:=30,static:=0`. The longest matching prefix wins.',
    reloads: true,
  }),
  ttlJitter: setting({
    variable: 'CACHE_TTL_JITTER',
    fallback: 0.1,
    parse: fraction,
    about: 'Fraction of its time to live by which an entry may expire earlier, at random.',
    reloads: true,
  }),
  ttlMode: setting({
    variable: 'CACHE_TTL_MODE',
    fallback: 'fixed',
    parse: oneOf('fixed', 'sliding'),
    about:
      '`fixed`: the time to live starts when the entry is filled. `sliding`: it starts again with every hit.',
    reloads: true,
  }),
  maxStalenessMs: setting({
    variable: 'CACHE_MAX_STALENESS_MS',
    fallback: 3_000,
    parse: integer(100, 3_600_000),
    unit: 'ms',
    about: 'The staleness bound L: no value served as fresh is older.',
  }),
  onFeedLoss: setting({
    variable: 'CACHE_ON_FEED_LOSS',
    fallback: 'bypass',
    parse: oneOf('bypass', 'stale'),
    about:
      'Behaviour after the lease has run out. `bypass`: reads go to the database. `stale`: entries are served ' +
      'and marked stale.',
  }),
  idleAfterMs: setting({
    variable: 'CACHE_IDLE_AFTER_MS',
    fallback: 300_000,
    parse: integer(0, Number.MAX_SAFE_INTEGER),
    unit: 'ms',
    about:
      'Time without requests after which the sidecar becomes idle and stops probing the database. The next ' +
      'request wakes it. Set 0 to disable.',
  }),
  whenIdle: setting({
    variable: 'CACHE_WHEN_IDLE',
    fallback: 'listen',
    parse: oneOf('listen', 'disconnect'),
    about:
      '`listen`: an idle sidecar keeps its listening connection. `disconnect`: it closes all connections, so ' +
      'that a serverless database can sleep.',
  }),
  onWriteOutage: setting({
    variable: 'CACHE_ON_WRITE_OUTAGE',
    fallback: 'local',
    parse: oneOf('local', 'reject'),
    about:
      'Behaviour while the database is unavailable. `local`: writes are kept in memory and sent later. ' +
      '`reject`: writes are answered with 503.',
  }),
  readyGraceMs: setting({
    variable: 'CACHE_READY_GRACE_MS',
    fallback: 300_000,
    parse: integer(0, Number.MAX_SAFE_INTEGER),
    unit: 'ms',
    about: 'Time after the lease has run out during which `/readyz` still answers 200.',
  }),
  warm: setting<WarmSource>({
    variable: 'CACHE_WARM',
    fallback: { kind: 'off' },
    parse: warmSource,
    show: (source) =>
      source.kind === 'recent'
        ? `recent:${source.count}`
        : source.kind === 'file'
          ? `file:${source.path}`
          : source.kind,
    about: 'Entries to read before `/readyz` answers 200: `off`, `recent:N`, `hot` or `file:PATH`.',
  }),
  warmTimeoutMs: setting({
    variable: 'CACHE_WARM_TIMEOUT_MS',
    fallback: 10_000,
    parse: integer(100, 3_600_000),
    unit: 'ms',
    about:
      'Maximum time that `/readyz` waits for the warm-up. Entries that are not read by then are read on request.',
  }),
  stateDir: setting<string | undefined>({
    variable: 'CACHE_STATE_DIR',
    fallback: undefined,
    parse: anyText,
    about:
      'Folder for state that outlives a restart: the list of keys that `CACHE_WARM=hot` needs. Each sidecar ' +
      'needs its own.',
  }),
  shutdownDelayMs: setting({
    variable: 'CACHE_SHUTDOWN_DELAY_MS',
    fallback: 0,
    parse: integer(0, 3_600_000),
    unit: 'ms',
    about: 'Time that the sidecar continues to serve, not ready, after a stop signal.',
  }),
  shutdownTimeoutMs: setting({
    variable: 'CACHE_SHUTDOWN_TIMEOUT_MS',
    fallback: 10_000,
    parse: integer(100, 3_600_000),
    unit: 'ms',
    about: 'Maximum time for the shutdown after that delay. Unfinished requests are then cut off and logged.',
  }),
  shutdownEndpoint: setting({
    variable: 'CACHE_SHUTDOWN_ENDPOINT',
    fallback: false,
    parse: onOrOff,
    about: '`on`: `POST /v1/shutdown` on the data listener stops the sidecar. Meant for Jobs.',
  }),
  isFastLaneOn: setting({
    variable: 'CACHE_FAST_LANE',
    fallback: true,
    parse: onOrOff,
    about:
      '`off`: every request goes through Koa, about three times as slow. Use it to find out if the fast lane is at fault.',
  }),
  logLevel: setting<LogLevel>({
    variable: 'LOG_LEVEL',
    fallback: 'info',
    parse: oneOf(...logLevels),
    about:
      'Lowest level that is logged: `fatal`, `error`, `warn`, `info`, `debug`, `trace`, or `silent` for none.',
    reloads: true,
  }),
} as const
