import t from 'tap'
import { Histogram } from '../../../src/core/histogram.js'
import { Stats } from '../../../src/core/stats.js'
import { Exposition } from '../../../src/telemetry/prometheus/exposition.js'
import { type MetricSources, metricsOf } from '../../../src/telemetry/prometheus/metrics.js'

/** Counters that all have another value. */
function distinctStats(): Stats {
  const stats = new Stats()
  const counters = Object.keys(stats).filter((name) => name !== 'batchKeys')
  for (const [index, name] of counters.entries()) Object.assign(stats, { [name]: 100 + index })
  stats.batchKeys.read.observe(1)
  stats.batchKeys.write.observe(2)
  stats.batchKeys.remove.observe(3)
  return stats
}

function sourcesWith(replicaUsable: boolean | undefined) {
  const stats = distinctStats()
  const seconds = new Histogram([1])
  seconds.observe(4)
  const part = (bytes: number) => ({ bytes, limitBytes: 10 * bytes })
  const sources: MetricSources = {
    status: () => ({
      ...{
        stats,
        size: 1,
        bytes: 2,
        negativeSize: 3,
        negativeCapacity: 4,
        negativeBytes: 5,
        pendingWrites: 6,
      },
      ...{ pendingBytes: 7, unknownBytes: 8, valueReads: 9, pendingWritesObstacle: undefined, faults: [] },
      ...{
        feed: 'catching-up',
        feedReason: undefined,
        replicaUsable,
        leaseAgeMs: 10_000,
        outboxLeaseAgeMs: 11_000,
      },
      fillLeases: { granted: 12, refused: 13, waiting: 14 },
      bindings: { usable: 15, unusable: ['a', 'b'].map((pattern) => ({ pattern, reason: '' })) },
      idleInMs: 1_000,
      neededForMs: 0,
    }),
    memory: () => ({
      ...{ entries: part(1), negative_entries: part(2), values_in_flight: part(3) },
      ...{ responses: part(4), request_bodies: part(5), pending_writes: part(6) },
    }),
    readiness: () => ({ status: 'degraded', reasons: [] }),
    limits: () => ({ capacity: 16, maxBytes: 17, maxStalenessMs: 18_000 }),
    requests: {
      tallies: () => [{ route: '/r', outcome: 'ok', source: 'cache', count: 19 }],
      durations: () => [{ route: '/r', source: 'db', seconds }],
    },
    closedConnections: () => ({ full: 20, evicted: 21, turned_away: 22, unread: 23, pipelined: 24 }),
    changeStreams: () => ({ open: 37, cutOff: 38 }),
    pool: () => ({ busy: 25, idle: 26, waiting: 27, size: 28 }),
    attempts: () => ({ breaker: 'trying', retries: 29, opened: 30, refused: 31 }),
    errorCounts: () => new Map([['refused', 32]]),
    queueUsage: () => 0.33,
    expiredRowsRemoved: () => 34,
    drains: () => ({ statements: 35, rows: 36 }),
    version: '1.2.3',
    eventLoopDelay: new Histogram([1]),
  }
  return { sources, stats }
}

/** Returns the values that are shown, by the names and labels of their metrics without the common prefix. */
async function shown(sources: MetricSources): Promise<ReadonlyMap<string, number>> {
  const text = await new Exposition(metricsOf(sources)).text()
  return new Map(
    text
      .split('\n')
      .filter((line) => line.startsWith('caching_layer_') && !/_bucket|event_loop|build_info/.test(line))
      .map((line) => {
        const [, name = '', value] = line.match(/^caching_layer_(\S+(?:\{.*\})?) (\S+)$/) ?? []
        return [name, Number(value)]
      }),
  )
}

t.test('each metric shows what it is named after', async (t) => {
  const { sources, stats } = sourcesWith(true)
  const states = (name: string, choices: readonly string[], chosen: string) =>
    Object.fromEntries(choices.map((choice) => [`${name}="${choice}"}`, choice === chosen ? 1 : 0]))
  const parts = [
    'entries',
    'negative_entries',
    'values_in_flight',
    'responses',
    'request_bodies',
    'pending_writes',
  ]
  const memory = (name: string, factor: number) =>
    Object.fromEntries(parts.map((part, index) => [`${name}{part="${part}"}`, (index + 1) * factor]))
  t.strictSame(Object.fromEntries(await shown(sources)), {
    'requests_total{route="/r",outcome="ok",source="cache"}': 19,
    'request_duration_seconds_sum{route="/r",source="db"}': 4,
    'request_duration_seconds_count{route="/r",source="db"}': 1,
    connections_refused_total: 20,
    'connections_closed_total{reason="evicted"}': 21,
    'connections_closed_total{reason="turned_away"}': 22,
    'connections_closed_total{reason="unread"}': 23,
    'connections_closed_total{reason="pipelined"}': 24,
    change_streams: 37,
    change_streams_cut_off_total: 38,
    ...states('readiness{status', ['ready', 'idle', 'degraded', 'unready'], 'degraded'),
    hits_total: stats.hits,
    negative_hits_total: stats.negativeHits,
    'misses_total{reason="absent"}': stats.missesAbsent,
    'misses_total{reason="expired"}': stats.missesExpired,
    'misses_total{reason="unproven"}': stats.missesUnproven,
    'misses_total{reason="requested"}': stats.missesRequested,
    coalesced_fills_total: stats.coalesced,
    revalidated_fills_total: stats.revalidatedFills,
    warmed_total: stats.warmed,
    stale_served_total: stats.staleServed,
    entries: 1,
    entries_limit: 16,
    held_bytes: 2,
    held_limit_bytes: 17,
    negative_entries: 3,
    negative_entries_limit: 4,
    ...memory('memory_bytes', 1),
    ...memory('memory_limit_bytes', 10),
    evictions_total: stats.evictions,
    negative_evictions_total: stats.negativeEvictions,
    changes_applied_total: stats.changesApplied,
    invalidations_total: stats.invalidations,
    ...states('feed_state{state', ['down', 'idle', 'catching-up', 'live'], 'catching-up'),
    'bindings{state="usable"}': 15,
    'bindings{state="unusable"}': 2,
    lease_age_seconds: 10,
    outbox_lease_age_seconds: 11,
    max_staleness_seconds: 18,
    feed_losses_total: stats.feedLosses,
    feed_reconnects_total: stats.feedSessions - 1,
    revalidations_total: stats.revalidations,
    revalidation_drops_total: stats.revalidationDrops,
    flushes_total: stats.flushes,
    pending_writes: 6,
    pending_bytes: 7,
    pending_writes_settled_total: stats.pendingSettled,
    pending_write_conflicts_total: stats.pendingConflicts,
    writes_unknown_total: stats.writesUnknown,
    fill_leases_granted_total: 12,
    fill_leases_refused_total: 13,
    fill_leases_waiting: 14,
    'batch_keys_sum{operation="read"}': 1,
    'batch_keys_count{operation="read"}': 1,
    'batch_keys_sum{operation="write"}': 2,
    'batch_keys_count{operation="write"}': 1,
    'batch_keys_sum{operation="delete"}': 3,
    'batch_keys_count{operation="delete"}': 1,
    'pool_connections{state="busy"}': 25,
    'pool_connections{state="idle"}': 26,
    pool_connections_limit: 28,
    pool_waiting: 27,
    'database_errors_total{kind="refused"}': 32,
    database_retries_total: 29,
    breaker_open: 1,
    breaker_opened_total: 30,
    breaker_refusals_total: 31,
    replica_usable: 1,
    replica_fills_total: stats.replicaFills,
    'replica_fallbacks_total{reason="recent"}': stats.replicaTooRecent,
    'replica_fallbacks_total{reason="unavailable"}': stats.replicaUnavailable,
    'replica_fallbacks_total{reason="expiring"}': stats.replicaExpiring,
    notification_queue_usage_ratio: 0.33,
    expired_rows_removed_total: 34,
    drains_total: 35,
    drained_rows_total: 36,
  })
})

t.test('what is unknown or not there is missing', async (t) => {
  const { sources } = sourcesWith(undefined)
  const limits = () => ({ capacity: 16, maxBytes: undefined, maxStalenessMs: 18_000 })
  const values = await shown({ ...sources, limits, queueUsage: () => undefined })
  t.strictSame(
    [...values.keys()].filter((name) => /^(replica|notification_queue|held_limit)/.test(name)),
    [],
  )
  const other = await shown({
    ...sourcesWith(false).sources,
    attempts: () => ({ breaker: 'closed', retries: 0, opened: 0, refused: 0 }),
  })
  t.equal(other.get('replica_usable'), 0)
  t.equal(other.get('breaker_open'), 0)
})
