import { integer, oneOf, onOrOff } from '../parse.js'
import { setting } from '../setting.js'

/** Settings of freshness, idleness and outages: what is served and written without the database, or without proof. */
export const availabilitySettings = {
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
  requiresConditions: setting({
    variable: 'CACHE_REQUIRE_CONDITIONS',
    fallback: false,
    parse: onOrOff,
    about:
      '`on`: a `PUT` or `DELETE` of `/v1/entries/{key}` without `If-Match` or `If-None-Match` is answered with 428, and so is an item of a batch without `if_match` or `if_none_match`.',
  }),
  readyGraceMs: setting({
    variable: 'CACHE_READY_GRACE_MS',
    fallback: 300_000,
    parse: integer(0, Number.MAX_SAFE_INTEGER),
    unit: 'ms',
    about: 'Time after the lease has run out during which `/readyz` still answers 200.',
  }),
} as const
