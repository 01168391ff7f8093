import { closest, distance } from 'fastest-levenshtein'

/** Everything that can be set, validated. Times in ms unless the name says otherwise. */
export interface Config {
  readonly host: string
  readonly port: number
  readonly opsHost: string
  readonly opsPort: number
  readonly databaseUrl: string
  readonly databaseListenUrl: string
  readonly databasePoolSize: number
  readonly databaseTimeoutMs: number
  readonly capacity: number
  readonly maxBytes: number | undefined
  readonly maxValueBytes: number
  readonly ttlSeconds: number
  readonly maxStalenessMs: number
  readonly onFeedLoss: 'bypass' | 'stale'
  readonly onWriteOutage: 'local' | 'reject'
  /** How long the sidecar calls itself ready after its lease has run out. */
  readonly readyGraceMs: number
  /** How long it goes on serving after it was told to stop, and how long it then has for what is unfinished. */
  readonly shutdownDelayMs: number
  readonly shutdownTimeoutMs: number
  readonly shutdownEndpoint: boolean
  readonly logLevel: LogLevel
}

export type LogLevel = (typeof logLevels)[number]

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

/** The start is refused: one line that says which setting, and why. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

export interface LoadedConfig {
  readonly config: Config
  /** One line each, about what was found and means nothing to us. */
  readonly warnings: readonly string[]
}

export type Environment = Readonly<Record<string, string | undefined>>

/** Reads the environment; every default is here. An empty variable counts as unset. Throws ConfigError. */
export function loadConfig(environment: Environment): LoadedConfig {
  const known = new Set<string>()
  const setting = <T>(name: string, fallback: T, parse: (text: string) => T): T => {
    known.add(name)
    const text = environment[name]
    if (text === undefined || text === '') return fallback
    try {
      return parse(text)
    } catch (error) {
      throw new ConfigError(`${name}: ${error instanceof Error ? error.message : error}`)
    }
  }
  const databaseUrl = setting(
    'DATABASE_URL',
    'postgresql://cache_user:cache_pass@127.0.0.1:5432/cache_db',
    postgresUrl,
  )
  const config: Config = Object.freeze({
    host: setting('HOST', '127.0.0.1', (text) => text),
    port: setting('PORT', 8025, integer(0, 65_535)),
    opsHost: setting('OPS_HOST', '0.0.0.0', (text) => text),
    opsPort: setting('OPS_PORT', 9025, integer(0, 65_535)),
    databaseUrl,
    databaseListenUrl: setting('DATABASE_LISTEN_URL', databaseUrl, postgresUrl),
    databasePoolSize: setting('DATABASE_POOL_SIZE', 2, integer(1, 100)),
    databaseTimeoutMs: setting('DATABASE_TIMEOUT_MS', 2_000, integer(100, 600_000)),
    capacity: setting('CACHE_CAPACITY', 1_000, integer(1, 100_000_000)),
    maxBytes: setting<number | undefined>('CACHE_MAX_BYTES', undefined, integer(1, Number.MAX_SAFE_INTEGER)),
    maxValueBytes: setting('CACHE_MAX_VALUE_BYTES', 1024 * 1024, integer(1, 256 * 1024 * 1024)),
    ttlSeconds: setting('CACHE_TTL_SECONDS', 60, seconds),
    maxStalenessMs: setting('CACHE_MAX_STALENESS_MS', 3_000, integer(100, 3_600_000)),
    onFeedLoss: setting('CACHE_ON_FEED_LOSS', 'bypass', oneOf('bypass', 'stale')),
    onWriteOutage: setting('CACHE_ON_WRITE_OUTAGE', 'local', oneOf('local', 'reject')),
    readyGraceMs: setting('CACHE_READY_GRACE_MS', 300_000, integer(0, Number.MAX_SAFE_INTEGER)),
    shutdownDelayMs: setting('CACHE_SHUTDOWN_DELAY_MS', 0, integer(0, 3_600_000)),
    shutdownTimeoutMs: setting('CACHE_SHUTDOWN_TIMEOUT_MS', 10_000, integer(100, 3_600_000)),
    shutdownEndpoint: setting('CACHE_SHUTDOWN_ENDPOINT', false, onOrOff),
    logLevel: setting<LogLevel>('LOG_LEVEL', 'info', oneOf(...logLevels)),
  })
  return { config, warnings: unknownSettings(environment, known) }
}

function unknownSettings(environment: Environment, known: ReadonlySet<string>): string[] {
  return Object.keys(environment)
    .filter((name) => name.startsWith('CACHE_') && !known.has(name))
    .map((name) => {
      const nearest = closest(name, [...known])
      const near = distance(name, nearest) <= 4
      return `${name} is not a setting and has no effect${near ? `; did you mean ${nearest}?` : ''}`
    })
}

function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
    if (!(number >= least && number <= most)) {
      throw new Error(`must be a whole number from ${least} to ${most}, not "${text}"`)
    }
    return number
  }
}

function onOrOff(text: string): boolean {
  return oneOf('on', 'off')(text) === 'on'
}

function seconds(text: string): number {
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(number <= 1_000_000_000)) {
    throw new Error(`must be a number of seconds, 0 or more, not "${text}" (0: no local expiry)`)
  }
  return number
}

function oneOf<const T extends string>(...choices: T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((one) => one === text)
    if (choice === undefined) throw new Error(`must be one of ${choices.join(', ')}, not "${text}"`)
    return choice
  }
}

/** The text is not repeated in the error: it may hold a password. */
function postgresUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol !== 'postgresql:' && url?.protocol !== 'postgres:') {
    throw new Error('must be a URL like postgresql://user:password@host:5432/database')
  }
  try {
    decodeURIComponent(`${url.username}${url.password}${url.pathname}`)
  } catch {
    throw new Error('is not percent-encoded UTF-8: what is special in a password must be encoded')
  }
  return text
}

/** A connection URL without what must not be shown: the password, and parameters, which may hold one too. */
export function redactUrl(text: string): string {
  const url = new URL(text)
  url.password = ''
  url.search = ''
  return url.href
}
