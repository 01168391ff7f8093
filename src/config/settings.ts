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

/** Everything that can be set. Every default is here. */
export const settings = {
  configFile: setting<string | undefined>({
    variable: 'CACHE_CONFIG_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'a JSON or YAML file of settings, by these names',
  }),
  host: setting({
    variable: 'HOST',
    fallback: 'localhost',
    parse: address,
    about: 'where the data listener is: an address, or `localhost` for 127.0.0.1 and ::1',
  }),
  port: setting({
    variable: 'PORT',
    fallback: 8025,
    parse: integer(0, 65_535),
    about: 'its port; 0: any that is free',
  }),
  socket: setting<string | undefined>({
    variable: 'CACHE_SOCKET',
    fallback: undefined,
    parse: socketPath,
    about: 'the data listener is this Unix socket, mode 0660, in place of `HOST` and `PORT`',
  }),
  allowedHosts: setting<readonly string[]>({
    variable: 'CACHE_ALLOWED_HOSTS',
    fallback: [],
    parse: hostNames,
    about:
      'names that requests may come by, such as the name of a Compose service or a pod, beside `localhost`, `HOST`, `OPS_HOST` and every IP address; `*`: any',
  }),
  apiToken: setting<string | undefined>({
    variable: 'CACHE_API_TOKEN',
    fallback: undefined,
    parse: bearerToken,
    redact: () => '(a token)',
    isSecret: () => true,
    about: 'what `Authorization: Bearer` has to carry on the data listener, but for `/health`',
  }),
  apiTokenFile: setting<string | undefined>({
    variable: 'CACHE_API_TOKEN_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'a file with that token, read at the start and every 10 s',
  }),
  maxConnections: setting({
    variable: 'CACHE_MAX_CONNECTIONS',
    fallback: 10_000,
    parse: integer(1, 1_000_000),
    unit: 'connections',
    about:
      'most connections open on the data listener; beyond that, the one that has been idle longest is closed',
  }),
  opsHost: setting({
    variable: 'OPS_HOST',
    fallback: '::',
    parse: address,
    about: 'where the operations listener is; `::`: every address, of IPv4 and IPv6',
  }),
  opsPort: setting({
    variable: 'OPS_PORT',
    fallback: 9025,
    parse: integer(0, 65_535),
    about: 'its port; 0: any that is free',
  }),
  databaseUrl: setting({
    variable: 'DATABASE_URL',
    fallback: 'postgresql://cache_user:cache_pass@127.0.0.1:5432/cache_db',
    parse: postgresUrl,
    redact: redactUrl,
    isSecret: hasPassword,
    about: 'PostgreSQL 14 or later, UTF-8',
  }),
  databaseListenUrl: setting({
    variable: 'DATABASE_LISTEN_URL',
    fallback: '',
    like: 'databaseUrl',
    parse: postgresUrl,
    redact: redactUrl,
    isSecret: hasPassword,
    about: 'direct connection for LISTEN and migrations, when the first goes through a pooler',
  }),
  databaseReadUrls: setting<readonly string[]>({
    variable: 'DATABASE_READ_URL',
    fallback: [],
    parse: postgresUrls,
    isSecret: (text) => separateUrls(text).some(hasPassword),
    redact: (text) => separateUrls(text).map(redactUrl).join(' '),
    about: 'streaming standbys that fills may be read from, separated by spaces or commas',
  }),
  databaseUrlFile: setting<string | undefined>({
    variable: 'DATABASE_URL_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'a file with that URL, read again for each new connection',
  }),
  databaseListenUrlFile: setting<string | undefined>({
    variable: 'DATABASE_LISTEN_URL_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'the same for `DATABASE_LISTEN_URL`',
  }),
  databaseReadUrlFile: setting<string | undefined>({
    variable: 'DATABASE_READ_URL_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'the same for `DATABASE_READ_URL`',
  }),
  databasePasswordFile: setting<string | undefined>({
    variable: 'DATABASE_PASSWORD_FILE',
    fallback: undefined,
    parse: anyText,
    about: 'a file with the password of those URLs that have none, read again for each new connection',
  }),
  databasePoolSize: setting({
    variable: 'DATABASE_POOL_SIZE',
    fallback: 2,
    parse: integer(1, 100),
    unit: 'connections',
    about: 'connections for statements; one more listens',
  }),
  databaseTimeoutMs: setting({
    variable: 'DATABASE_TIMEOUT_MS',
    fallback: 2_000,
    parse: integer(100, 600_000),
    unit: 'ms',
    about: 'how long a request waits for its statement to begin, and again for its end',
  }),
  memoryBytes: setting<number | undefined>({
    variable: 'CACHE_MEMORY_BYTES',
    fallback: undefined,
    parse: integer(16 * 1024 * 1024, Number.MAX_SAFE_INTEGER),
    unit: 'bytes',
    about:
      'memory for entries (half of it), values read, responses, bodies and kept writes; if unset, what the limits of container and heap leave',
  }),
  capacity: setting({
    variable: 'CACHE_CAPACITY',
    fallback: 1_000,
    parse: integer(1, 100_000_000),
    unit: 'entries',
    about: 'most entries held',
    reloads: true,
  }),
  maxBytes: setting<number | undefined>({
    variable: 'CACHE_MAX_BYTES',
    fallback: undefined,
    parse: integer(1, Number.MAX_SAFE_INTEGER),
    unit: 'bytes',
    about: 'most bytes of keys and values held',
    reloads: true,
  }),
  maxValueBytes: setting({
    variable: 'CACHE_MAX_VALUE_BYTES',
    fallback: 1024 * 1024,
    parse: integer(1, 256 * 1024 * 1024),
    unit: 'bytes',
    about: 'largest body of a set',
  }),
  ttlSeconds: setting({
    variable: 'CACHE_TTL_SECONDS',
    fallback: 60,
    parse: seconds,
    unit: 's',
    about: 'how long an entry is served; 0: no local expiry',
    reloads: true,
  }),
  ttlRules: setting<readonly PrefixSeconds[]>({
    variable: 'CACHE_TTL_RULES',
    fallback: [],
    parse: secondsByPrefix,
    show: (rules) => rules.map(({ prefix, seconds }) => `${prefix}=${seconds}`).join(),
    about: 'other times by the beginning of the key, the longest counts: `user:=30,static:=0`',
    reloads: true,
  }),
  ttlJitter: setting({
    variable: 'CACHE_TTL_JITTER',
    fallback: 0.1,
    parse: fraction,
    about: 'the part of its time by which an entry may expire sooner, by chance',
    reloads: true,
  }),
  ttlMode: setting({
    variable: 'CACHE_TTL_MODE',
    fallback: 'fixed',
    parse: oneOf('fixed', 'sliding'),
    about: '`fixed`: counted from the fill; `sliding`: from the last hit',
    reloads: true,
  }),
  maxStalenessMs: setting({
    variable: 'CACHE_MAX_STALENESS_MS',
    fallback: 3_000,
    parse: integer(100, 3_600_000),
    unit: 'ms',
    about: 'L: no fresh hit is older',
  }),
  onFeedLoss: setting({
    variable: 'CACHE_ON_FEED_LOSS',
    fallback: 'bypass',
    parse: oneOf('bypass', 'stale'),
    about: 'when the lease has run out: `bypass` reads the database, `stale` serves and marks',
  }),
  idleAfterMs: setting({
    variable: 'CACHE_IDLE_AFTER_MS',
    fallback: 300_000,
    parse: integer(0, Number.MAX_SAFE_INTEGER),
    unit: 'ms',
    about: 'how long without a request until it stops probing the database; the next one wakes it; 0: never',
  }),
  whenIdle: setting({
    variable: 'CACHE_WHEN_IDLE',
    fallback: 'listen',
    parse: oneOf('listen', 'disconnect'),
    about:
      '`listen`: an idle sidecar keeps the connection that listens; `disconnect`: it has none, so that a serverless database can sleep',
  }),
  onWriteOutage: setting({
    variable: 'CACHE_ON_WRITE_OUTAGE',
    fallback: 'local',
    parse: oneOf('local', 'reject'),
    about: 'when the database is away: `local` keeps writes, `reject` answers 503',
  }),
  readyGraceMs: setting({
    variable: 'CACHE_READY_GRACE_MS',
    fallback: 300_000,
    parse: integer(0, Number.MAX_SAFE_INTEGER),
    unit: 'ms',
    about: 'how long `/readyz` stays at 200 after the lease has run out',
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
    about: 'what is in memory before `/readyz` is at 200: `off`, `recent:N`, `hot` or `file:PATH`',
  }),
  warmTimeoutMs: setting({
    variable: 'CACHE_WARM_TIMEOUT_MS',
    fallback: 10_000,
    parse: integer(100, 3_600_000),
    unit: 'ms',
    about: 'how long `/readyz` waits for that; what is not read by then is read when it is asked for',
  }),
  stateDir: setting<string | undefined>({
    variable: 'CACHE_STATE_DIR',
    fallback: undefined,
    parse: anyText,
    about: 'a folder of its own, for what outlives a restart: the list of keys that `hot` needs',
  }),
  shutdownDelayMs: setting({
    variable: 'CACHE_SHUTDOWN_DELAY_MS',
    fallback: 0,
    parse: integer(0, 3_600_000),
    unit: 'ms',
    about: 'how long it goes on serving, unready, after it was told to stop',
  }),
  shutdownTimeoutMs: setting({
    variable: 'CACHE_SHUTDOWN_TIMEOUT_MS',
    fallback: 10_000,
    parse: integer(100, 3_600_000),
    unit: 'ms',
    about: 'how long it then has to finish; what is unfinished is cut off and logged',
  }),
  shutdownEndpoint: setting({
    variable: 'CACHE_SHUTDOWN_ENDPOINT',
    fallback: false,
    parse: onOrOff,
    about: '`on`: `POST /v1/shutdown` on the data listener stops it, for Jobs',
  }),
  logLevel: setting<LogLevel>({
    variable: 'LOG_LEVEL',
    fallback: 'info',
    parse: oneOf(...logLevels),
    about: '`fatal` to `trace`, or `silent`; JSON lines on stderr',
    reloads: true,
  }),
} as const
