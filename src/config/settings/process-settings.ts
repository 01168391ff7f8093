import { anyText, integer, oneOf, onOrOff, type WarmSource, warmSource } from '../parse.js'
import { setting } from '../setting.js'

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

export type LogLevel = (typeof logLevels)[number]

/** Settings of the process: warm-up, shutdown and log. */
export const processSettings = {
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
  fleetIntervalMs: setting({
    variable: 'CACHE_FLEET_INTERVAL_MS',
    fallback: 60_000,
    parse: integer(0, 3_600_000),
    unit: 'ms',
    about:
      'Time between two heartbeats, by which the sidecars of a database see each other on the page and in ' +
      '`caching-layer top`. Set 0 to send none, and to show no fleet.',
    reloads: true,
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
      '`off`: every request goes through Koa, about three times as slow. ' +
      'Use it to find out if the fast lane is at fault.',
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
