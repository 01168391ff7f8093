import { readFile } from 'node:fs/promises'
import t from 'tap'
import { Histogram } from '../../../src/core/histogram.js'
import { Stats } from '../../../src/core/stats.js'
import { Exposition } from '../../../src/telemetry/prometheus/exposition.js'
import type { Metric } from '../../../src/telemetry/prometheus/metric.js'
import { metricsOf } from '../../../src/telemetry/prometheus/metrics.js'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { type Exposed, parseExposed } from '../../support/exposed.js'
import { guestOf } from '../../support/guest.js'
import type { JsonClient } from '../../support/json-client.js'
import { promtool, withoutPromtool } from '../../support/promtool.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

const metrics = metricsOf({
  status: () => ({
    stats: new Stats(),
    size: 0,
    bytes: 0,
    negativeSize: 0,
    negativeCapacity: 0,
    negativeBytes: 0,
    pendingWrites: 0,
    pendingBytes: 0,
    unknownBytes: 0,
    valueReads: 0,
    pendingWritesObstacle: undefined,
    faults: [],
    feed: 'live',
    feedReason: undefined,
    replicaUsable: undefined,
    fillLeases: { granted: 0, refused: 0, waiting: 0 },
    bindings: { usable: 0, unusable: [] },
    leaseAgeMs: 10,
    outboxLeaseAgeMs: 10,
    idleInMs: 1_000,
    neededForMs: Number.POSITIVE_INFINITY,
  }),
  memory: () => ({
    entries: { bytes: 0, limitBytes: 5 },
    negative_entries: { bytes: 0, limitBytes: 6 },
    values_in_flight: { bytes: 0, limitBytes: 4 },
    responses: { bytes: 0, limitBytes: 3 },
    request_bodies: { bytes: 0, limitBytes: 2 },
    pending_writes: { bytes: 0, limitBytes: 1 },
  }),
  readiness: () => ({ status: 'ready', reasons: [] }),
  limits: () => ({ capacity: 10, maxBytes: 1_000, maxStalenessMs: 3_000 }),
  requests: { tallies: () => [], durations: () => [] },
  changeStreams: () => ({ open: 3, cutOff: 1 }),
  closedConnections: () => ({ full: 2, evicted: 1, turned_away: 0, unread: 0, pipelined: 0 }),
  pool: () => ({ busy: 0, idle: 0, waiting: 0, size: 2 }),
  attempts: () => ({ breaker: 'closed', retries: 0, opened: 0, refused: 0 }),
  errorCounts: () => new Map(),
  queueUsage: () => 0,
  expiredRowsRemoved: () => 0,
  drains: () => ({ statements: 0, rows: 0 }),
  version: '1.2.3',
  eventLoopDelay: new Histogram([1]),
})

async function scrape(ops: JsonClient): Promise<Exposed> {
  return parseExposed((await ops.request('GET', '/metrics')).text)
}

/** Returns the metrics as soon as the condition holds. */
function scrapeOnce(ops: JsonClient, isSo: (exposed: Exposed) => boolean): Promise<Exposed> {
  return eventually(async () => {
    const exposed = await scrape(ops)
    if (!isSo(exposed)) throw new Error('not yet')
    return exposed
  })
}

const database = await freshDatabase(t)
const guest = await guestOf(t, database)
const { client, ops } = await startLiveSidecar(t, {
  databaseUrl: guest.url,
  capacity: 3,
  maxBytes: 10_000,
  maxStalenessMs: 600,
})

t.test('events are counted', async (t) => {
  const before = await scrape(ops)
  t.equal(before.value('caching_layer_hits_total'), 0, 'zero, and not missing, before the first')
  t.equal(before.value('caching_layer_misses_total', { reason: 'expired' }), 0)

  await client.set('a', 1)
  t.equal(await client.held('a'), 1)
  const hits = before.value('caching_layer_hits_total') ?? 0
  await client.get('a')
  await client.get('absent')
  await client.request('GET', '/cache/get?key=a&consistency=strong')
  await client.request('GET', '/cache/get?key=none', { headers: { 'Cache-Control': 'only-if-cached' } })
  await client.request('GET', '/cache/get?key=')
  await client.request('DELETE', '/cache/delete?key=absent')
  await client.request('GET', '/made/up/1')
  await client.request('GET', '/made/up/2')
  for (const key of ['b', 'c', 'd']) await client.set(key, 1)
  await database.query("update cache_entries set value = 'by SQL' where key = 'd'")

  const after = await scrapeOnce(ops, ({ value }) => value('caching_layer_changes_applied_total') === 5)
  const requests = (route: string, outcome: string, source: string) =>
    after.value('caching_layer_requests_total', { route, outcome, source })
  t.ok((requests('/cache/get', 'ok', 'cache') ?? 0) >= hits + 2)
  t.equal(requests('/cache/get', 'ok', 'cache'), after.value('caching_layer_hits_total'))
  t.equal(requests('/cache/get', 'not_found', 'db'), 1)
  t.equal(requests('/cache/get', 'ok', 'db'), 1)
  t.equal(requests('/cache/get', 'not_held', 'none'), 1)
  t.equal(requests('/cache/get', 'refused', 'none'), 1)
  t.equal(requests('/cache/set', 'ok', 'db'), 4)
  t.equal(requests('/cache/delete', 'ok', 'db'), 1)
  t.equal(requests('other', 'not_found', 'none'), 2, 'a path that was made up is no label')

  const got = { route: '/cache/get', source: 'cache' }
  const count = after.value('caching_layer_request_duration_seconds_count', got)
  t.equal(count, requests('/cache/get', 'ok', 'cache'))
  t.equal(after.value('caching_layer_request_duration_seconds_bucket', { ...got, le: '+Inf' }), count)
  t.equal(after.value('caching_layer_request_duration_seconds_bucket', { ...got, le: '10' }), count)
  const seconds = after.value('caching_layer_request_duration_seconds_sum', got) ?? 0
  t.ok(seconds > 0 && seconds < 5, `${seconds} s`)
  const least = after.samples.find(({ labels }) => labels.le !== undefined && labels.route === got.route)
  t.equal(least?.labels.le, '0.000025')

  t.equal(after.value('caching_layer_misses_total', { reason: 'absent' }), 1)
  t.equal(after.value('caching_layer_misses_total', { reason: 'requested' }), 1)
  t.equal(after.value('caching_layer_evictions_total'), 1)
  t.equal(after.value('caching_layer_entries'), 2)
  t.equal(after.value('caching_layer_entries_limit'), 3)
  t.equal(after.value('caching_layer_held_bytes'), 4, 'two keys and two values')
  t.equal(after.value('caching_layer_held_limit_bytes'), 10_000)
  t.equal(after.value('caching_layer_changes_applied_total'), 5)
  t.equal(after.value('caching_layer_batch_keys_count', { operation: 'write' }), 4)
  t.equal(after.value('caching_layer_batch_keys_sum', { operation: 'delete' }), 1)
  t.equal(after.value('caching_layer_pool_connections_limit'), 2)
  t.equal(after.value('caching_layer_pool_waiting'), 0)
  const [idle, busy] = ['idle', 'busy'].map(
    (state) => after.value('caching_layer_pool_connections', { state }) ?? 0,
  )
  t.ok((idle as number) + (busy as number) >= 1)
  const usage = after.value('caching_layer_notification_queue_usage_ratio') ?? -1
  t.ok(usage >= 0 && usage < 0.5)
  t.ok((after.value('caching_layer_event_loop_delay_seconds_count') ?? 0) > 0)
  t.ok((after.value('process_cpu_seconds_total') ?? 0) > 0)
  t.ok((after.value('process_resident_memory_bytes') ?? 0) > 1e7)
  t.ok(Math.abs((after.value('process_start_time_seconds') ?? 0) - Date.now() / 1_000) < 600)
})

t.test('the feed and the pending writes have metrics', async (t) => {
  const state = (exposed: Exposed) =>
    exposed.samples.filter(({ name, value }) => name === 'caching_layer_feed_state' && value === 1)
  const before = await scrapeOnce(ops, ({ value }) => (value('caching_layer_lease_age_seconds') ?? 9) < 0.6)
  t.match(state(before), [{ labels: { state: 'live' } }])
  t.equal(before.value('caching_layer_readiness', { status: 'ready' }), 1)
  t.equal(before.value('caching_layer_max_staleness_seconds'), 0.6)
  const sinceBefore = (exposed: Exposed, name: string) =>
    (exposed.value(name) ?? 0) - (before.value(name) ?? 0)

  await guest.shutOut()
  await eventually(async () => (await client.set('kept', 1)).body.db_written === false)
  await client.get('kept')
  const during = await scrapeOnce(ops, ({ value }) => (value('caching_layer_lease_age_seconds') ?? 0) > 0.6)
  t.match(state(during), [{ labels: { state: 'down' } }])
  t.equal(during.value('caching_layer_readiness', { status: 'degraded' }), 1)
  t.equal(during.value('caching_layer_pending_writes'), 1)
  t.ok((during.value('caching_layer_pending_bytes') ?? 0) > 256)
  t.equal(sinceBefore(during, 'caching_layer_feed_losses_total'), 1)
  t.ok((during.value('caching_layer_stale_served_total') ?? 0) >= 1)
  t.ok((during.value('caching_layer_requests_total', { route: '/cache/set', source: 'kept' }) ?? 0) >= 1)
  t.ok((during.value('caching_layer_requests_total', { route: '/cache/get', source: 'kept' }) ?? 0) >= 1)

  await guest.letIn()
  const after = await scrapeOnce(
    ops,
    ({ value }) => value('caching_layer_readiness', { status: 'ready' }) === 1,
  )
  t.ok(sinceBefore(after, 'caching_layer_feed_reconnects_total') >= 1)
  t.equal(after.value('caching_layer_pending_writes'), 0)
  t.equal(after.value('caching_layer_pending_writes_settled_total'), 1)
  t.ok(sinceBefore(after, 'caching_layer_revalidations_total') >= 1)
})

t.test('metrics are served without a database', async (t) => {
  const away = await startSidecar(t, { databaseUrl: 'postgresql://nobody@127.0.0.1:1/nothing' })
  await away.client.get('foo')
  const exposed = await scrape(away.ops)
  t.equal(exposed.value('caching_layer_lease_age_seconds'), Number.POSITIVE_INFINITY)
  t.equal(exposed.value('caching_layer_notification_queue_usage_ratio'), undefined, 'it is unknown')
  t.equal(exposed.value('caching_layer_held_limit_bytes'), undefined, 'there is none')
  t.equal(exposed.value('caching_layer_requests_total', { outcome: 'unavailable' }), 1)
})

t.test('every metric is exposed as it is described', async (t) => {
  const answer = await ops.request('GET', '/metrics')
  t.match(answer, { status: 200, headers: { 'content-type': /^text\/plain; version=0\.0\.4/ } })
  const { types, helps, samples } = parseExposed(answer.text)
  t.same(
    [...types],
    metrics.map(({ name, type }) => [name, type]),
  )
  t.same(
    [...helps],
    metrics.map(({ name, help }) => [name, help]),
  )
  const described = new Map(metrics.map((metric) => [metric.name, metric]))
  const wrong = samples.filter(({ name, labels }) => {
    const metric = described.get(name) ?? described.get(name.replace(/_(bucket|sum|count)$/, ''))
    const own = Object.keys(labels).filter((label) => label !== 'le')
    return own.join() !== (metric?.labels ?? []).join()
  })
  t.same(wrong, [], 'labels')
})

/** Returns a line for each name that breaks Prometheus' conventions: https://prometheus.io/docs/practices/naming/ */
function misnamed(metrics: readonly Pick<Metric, 'name' | 'type' | 'help'>[]): string[] {
  return metrics.flatMap(({ name, type, help }) => {
    const found: string[] = []
    if (!/^(caching_layer|process|nodejs)(_[a-z]+)+$/.test(name)) found.push('prefix')
    if ((type === 'counter') !== name.endsWith('_total')) found.push('_total')
    if (
      /_(ms|milliseconds|minutes|kb|mb|kilobytes|percent|count|sum|bucket)(_|$)/.test(name) ||
      /_info(_|$)/.test(name.replace(/_build_info$/, ''))
    )
      found.push('unit')
    if (name.includes(type)) found.push('type')
    if (!/^\S.*\S\.$/.test(help)) found.push('help')
    return found.map((what) => `${name}: ${what}`)
  })
}

t.test('names follow the conventions', async (t) => {
  t.same(misnamed(metrics), [])
  t.equal(new Set(metrics.map(({ name }) => name)).size, metrics.length)
  const wrong = [
    { name: 'hits_total', type: 'counter', help: 'Hits.' },
    { name: 'caching_layer_hits', type: 'counter', help: 'Hits.' },
    { name: 'caching_layer_entries_total', type: 'gauge', help: 'Entries.' },
    { name: 'caching_layer_lease_age_ms', type: 'gauge', help: 'Age.' },
    { name: 'caching_layer_hits_counter_total', type: 'counter', help: 'Hits.' },
    { name: 'caching_layer_hits_total', type: 'counter', help: '' },
  ] as const
  for (const one of wrong) t.ok(misnamed([one]).length > 0, `${one.name}: ${one.help}`)
})

t.test('promtool reports no problem', { skip: withoutPromtool }, async (t) => {
  const { text } = await ops.request('GET', '/metrics')
  t.same(promtool(['check', 'metrics'], text), { code: 0, said: '' })
  const wrong: Metric = {
    name: 'caching_layer_hits',
    help: 'Hits.',
    type: 'counter',
    read: () => [{ value: 1 }],
  }
  t.match(promtool(['check', 'metrics'], await new Exposition([wrong]).text()), { code: 3, said: /_total/ })
})

t.test('docs/reference/metrics.md lists every metric', async (t) => {
  const rows = metrics.map(({ name, type, labels = [], help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
  ])
  const wanted = [['metric', 'type', 'labels', 'meaning'], ['---', '---', '---', '---'], ...rows]
  const found = (await readFile('docs/reference/metrics.md', 'utf8'))
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim().replace(/^-+$/, '---')),
    )
  t.same(found, wanted)
})
