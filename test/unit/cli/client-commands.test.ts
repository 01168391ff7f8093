import t from 'tap'
import { del } from '../../../src/cli/commands/del.js'
import { get } from '../../../src/cli/commands/get.js'
import { healthcheck } from '../../../src/cli/commands/healthcheck.js'
import { invalidate } from '../../../src/cli/commands/invalidate.js'
import { list } from '../../../src/cli/commands/list.js'
import { set } from '../../../src/cli/commands/set.js'
import { stats } from '../../../src/cli/commands/stats.js'
import { wait } from '../../../src/cli/commands/wait.js'
import { watch } from '../../../src/cli/commands/watch.js'
import { commandRun, type FakeAnswer, fakeListener } from '../../support/command-run.js'

const refused = { status: 503, text: '{"detail":"The database cannot be reached"}' }
const usage = (message: string | RegExp) => ({ name: 'UsageError', message })

t.test('get prints one value', async (t) => {
  let answer: FakeAnswer = { value: 'text\u001b', source: 'cache' }
  const { url, asked } = await fakeListener(t, () => answer)
  const run = (flags: readonly string[] = [], isTerminal = false) =>
    commandRun(get, { positionals: ['a key'], values: { url }, flags, isTerminal })
  t.match(await run(), { code: 0, out: ['text\u001b'], notes: { length: 0 } })
  t.match(await run([], true), { out: ['text\\x1b'] })
  t.match(await run(['json']), { out: ['{"value":"text\\u001b","source":"cache"}'] })
  answer = { status: 200, text: '{"value":1.10,"stale":true}' }
  t.match(await run(['strong']), { out: ['1.10'], notes: [/^stale: /] })
  t.strictSame(asked.at(-1), { method: 'GET', path: '/cache/get?key=a%20key', cacheControl: 'no-cache' })
  t.notOk(asked[0]?.cacheControl)
  answer = { status: 404, text: '{"detail":"Key not found"}' }
  t.match(await run(), { code: 1, out: { length: 0 }, notes: ['no such entry'] })
  answer = refused
  await t.rejects(run(), { message: 'The database cannot be reached' })
  answer = { status: 500, text: '{}' }
  await t.rejects(run(), { message: 'the sidecar answered 500' })
  await t.rejects(commandRun(get, { values: { url } }), usage('get: name at least one key'))
  t.equal(get.failureCode, 3, 'not that of a missing entry')
})

t.test('get prints an object for each of several keys', async (t) => {
  let missing: readonly string[] = []
  const text = () => `{"entries":[{"key":"a","value":1.0}],"missing":${JSON.stringify(missing)}}`
  const { url, asked } = await fakeListener(t, () => ({ status: 200, text: text() }))
  const run = (...flags: string[]) => commandRun(get, { positionals: ['a', 'b'], values: { url }, flags })
  t.match(await run(), { code: 0, out: ['{"key":"a","value":1.0}'], notes: { length: 0 } })
  t.strictSame(asked, [{ method: 'POST', path: '/v1/entries:get', body: { keys: ['a', 'b'] } }])
  missing = ['b']
  t.match(await run('json', 'strong'), { code: 1, out: [text()], notes: ['no such entry: "b"'] })
  t.equal(asked[1]?.cacheControl, 'no-cache')
  const { url: other } = await fakeListener(t, () => refused)
  await t.rejects(commandRun(get, { positionals: ['a', 'b'], values: { url: other } }), /cannot be reached/)
})

t.test('set writes a text or JSON', async (t) => {
  let answer: FakeAnswer = { db_written: true }
  const { url, asked } = await fakeListener(t, () => answer)
  const run = (positionals: readonly string[], flags: readonly string[] = [], ttl?: string) =>
    commandRun(set, { positionals, flags, values: { url, ...(ttl !== undefined && { ttl }) } })
  t.strictSame(await run(['k', '1']), { code: 0, out: [], notes: [], progress: [] })
  t.strictSame(asked[0], { method: 'POST', path: '/cache/set', body: { key: 'k', value: '1' } })
  answer = { db_written: false }
  t.match(await run(['k', '{"a":1}'], ['json'], '.5'), { code: 0, notes: [/^pending: /] })
  t.strictSame(asked[1]?.body, { key: 'k', value: { a: 1 }, ttl_seconds: 0.5 })
  for (const ttl of ['0.001', '1000000000']) t.equal((await run(['k', '1'], [], ttl)).code, 0)
  for (const ttl of ['0', '0.0009', '1000000001', '1e3', ''])
    await t.rejects(run(['k', '1'], [], ttl), usage(/--ttl.* from 0.001 to 1000000000, not "/), ttl)
  for (const positionals of [[], ['k'], ['k', '1', '2']])
    await t.rejects(run(positionals), usage(/^set: name a key and a value/))
  await t.rejects(run(['k', '{'], ['json']), usage('set: with --json the value must be JSON'))
  answer = refused
  await t.rejects(run(['k', '1']), { message: 'The database cannot be reached' })
})

t.test('del deletes one entry or those with a prefix', async (t) => {
  let answer: FakeAnswer = { db_removed: true }
  const { url, asked } = await fakeListener(t, () => answer)
  const run = (positionals: readonly string[], more: Record<string, string> = {}) =>
    commandRun(del, { positionals, values: { url, ...more } })
  t.strictSame(await run(['a key']), { code: 0, out: [], notes: [], progress: [] })
  t.strictSame(asked[0], { method: 'DELETE', path: '/cache/delete?key=a%20key' })
  answer = { db_removed: false }
  t.match(await run(['k']), { code: 0, notes: ['the entry did not exist in the database'] })
  answer = { pending: true, db_removed: false }
  t.match(await run(['k']), { code: 0, notes: [/^pending: /] })
  answer = { removed: 7 }
  t.match(await run([], { prefix: 'p' }), { code: 0, notes: ['7 deleted'] })
  t.strictSame(asked.at(-1), { method: 'POST', path: '/v1/invalidate', body: { prefix: 'p' } })
  await t.rejects(run(['k'], { prefix: 'p' }), usage('del: name a key or --prefix, not both'))
  for (const keys of [[], ['a', 'b']]) await t.rejects(run(keys), usage('del: name one key'))
  answer = refused
  await t.rejects(run(['k']), { message: 'The database cannot be reached' })
  await t.rejects(run([], { prefix: 'p' }), { message: 'The database cannot be reached' })
})

t.test('invalidate removes what is selected', async (t) => {
  const { url, asked } = await fakeListener(t, () => ({ removed: 3 }))
  const run = (positionals: readonly string[], more: Record<string, string>, ...flags: string[]) =>
    commandRun(invalidate, { positionals, flags, values: { url, ...more } })
  t.match(await run(['a', 'b'], { group: 'g', prefix: 'p' }), { code: 0, out: ['3 removed'] })
  await run([], { prefix: 'p' })
  await run([], {}, 'all')
  t.strictSame(
    asked.map(({ body }) => body),
    [{ keys: ['a', 'b'], groups: ['g'], prefix: 'p' }, { prefix: 'p' }, { all: true }],
  )
  await t.rejects(run([], {}), usage('invalidate: name keys, --group, --prefix or --all'))
  for (const [keys, more] of [
    [['a'], {}],
    [[], { group: 'g' }],
    [[], { prefix: 'p' }],
  ] as const)
    await t.rejects(run(keys, more, 'all'), usage('invalidate: --all excludes keys, --group and --prefix'))
})

t.test('list prints the keys of all pages', async (t) => {
  const pages: FakeAnswer[] = [
    { entries: [{ key: 'a', size: 1 }, { key: 'b\u0007' }], next: 'b\u0007' },
    { entries: [{ key: 'c' }] },
  ]
  let at = 0
  const { url, asked } = await fakeListener(t, () => pages[at++ % 2] as FakeAnswer)
  const run = (more: object = {}) => commandRun(list, { values: { url }, ...more })
  t.match(await run(), { code: 0, out: ['a', 'b\u0007', 'c'] })
  t.strictSame(
    asked.map(({ path }) => path),
    ['/v1/entries?prefix=&limit=1000&after=', '/v1/entries?prefix=&limit=1000&after=b%07'],
  )
  t.strictSame((await run({ isTerminal: true })).out, ['a', 'b\\x07', 'c'])
  t.strictSame((await run({ flags: ['json'] })).out, [
    '{"key":"a","size":1}',
    '{"key":"b\\u0007"}',
    '{"key":"c"}',
  ])
  await run({ values: { url, prefix: 'user:&' } })
  t.equal(asked.at(-1)?.path, '/v1/entries?prefix=user%3A%26&limit=1000&after=b%07')
  t.match(await run({ stop: AbortSignal.abort() }), { code: 1, out: { length: 0 } })
  pages[0] = refused
  await t.rejects(run(), { message: 'The database cannot be reached' })
})

t.test('without a URL, list asks the sidecar that has these settings', async (t) => {
  const { url } = await fakeListener(t, () => ({ entries: [{ key: 'a' }] }))
  t.match(await commandRun(list, { values: { port: new URL(url).port } }), { code: 0, out: ['a'] })
})

t.test('stats prints a line for each counter', async (t) => {
  let answer: FakeAnswer = { hits: 1, feed: { state: 'live', lease_age_ms: null }, none: {} }
  const { url, asked } = await fakeListener(t, () => answer)
  const run = (...flags: string[]) => commandRun(stats, { values: { url }, flags })
  t.match(await run(), { code: 0, out: ['hits 1', 'feed.state live', 'feed.lease_age_ms null'] })
  t.strictSame((await run('json')).out, [JSON.stringify(answer)])
  t.equal(asked[0]?.path, '/cache/stats')
  answer = refused
  await t.rejects(run(), { message: 'The database cannot be reached' })
})

t.test('healthcheck tells whether the sidecar is alive', async (t) => {
  let answer: FakeAnswer = { status: 'alive' }
  const { url, asked } = await fakeListener(t, () => answer)
  const run = () => commandRun(healthcheck, { values: { url } })
  t.match(await run(), { code: 0, out: ['alive'], notes: { length: 0 } })
  t.equal(asked[0]?.path, '/livez')
  answer = { status: 500, text: '{}' }
  t.match(await run(), { code: 1, out: { length: 0 }, notes: [`${url}: /livez answered 500`] })
  const gone = commandRun(healthcheck, { values: { url: 'http://127.0.0.1:1' } })
  t.match(await gone, { code: 1, out: { length: 0 }, notes: [/^http:\/\/127.0.0.1:1: .*ECONNREFUSED/] })
  await t.rejects(commandRun(healthcheck, { environment: { OPS_PORT: '0' } }), { message: /^OPS_PORT: / })
})

t.test('wait ends when the sidecar is ready, and at its timeout', async (t) => {
  const reasons = ['one', 'two']
  const { url, asked } = await fakeListener(t, () =>
    reasons.length > 0
      ? { status: 503, text: JSON.stringify({ reasons: [reasons.shift(), 'more'] }) }
      : { status: 'ready' },
  )
  t.strictSame(await commandRun(wait, { values: { url } }), {
    ...{ code: 0, out: [], notes: [] },
    progress: ['waiting: one; more', 'waiting: two; more'],
  })
  t.ok(asked.every(({ path }) => path === '/readyz?verbose'))
  const gone = 'http://127.0.0.1:1'
  const late = await commandRun(wait, { values: { url: gone, timeout: '0' } })
  t.match(late, { code: 1, notes: [/^not ready: .*ECONNREFUSED/], progress: { length: 0 } })
  const stopped = await commandRun(wait, { values: { url: gone }, stop: AbortSignal.abort() })
  t.match(stopped, { code: 1, notes: [/^not ready: /], progress: { length: 0 } })
  for (const timeout of ['-1', '86401', 'x'])
    await t.rejects(commandRun(wait, { values: { url, timeout } }), usage(/up to 86400$/), timeout)
})

const counted = {
  ...{ hits: 10, misses: 10, changes_applied: 5, size: 2 },
  ...{ feed: { state: 'live', lease_age_ms: 7 }, writes: { pending: 0 } },
}

/** Runs `watch` with these answers, and stops it with the last one. */
async function watched(t: Parameters<typeof fakeListener>[0], answers: readonly FakeAnswer[]) {
  const stop = new AbortController()
  const left = [...answers]
  const { url, asked } = await fakeListener(t, () => left.shift() ?? refused)
  const lines: string[] = []
  const said = (line: string) => {
    lines.push(line)
    if (left.length === 0) stop.abort()
  }
  const input = { values: { url, seconds: '0.1' }, stop: stop.signal, out: said, note: said }
  return { ...(await commandRun(watch, input)), asked, lines }
}

t.test('watch prints what has changed since the line before', async (t) => {
  const { code, lines, asked } = await watched(t, [
    counted,
    { ...counted, feed: { state: 'live', lease_age_ms: null } },
    { ...counted, hits: 13, misses: 11, writes: { pending: 4 } },
  ])
  t.equal(code, 0)
  t.match(lines, [
    /^reads 0\/s {2}hits - {2}changes 0\/s {2}entries 2 {2}feed live, proven never$/,
    /^reads \d+\/s {2}hits 75.0 % {2}changes 0\/s .* proven 7 ms ago {2}pending writes 4$/,
  ])
  t.ok(asked.every(({ path }) => path === '/cache/stats'))
})

t.test('watch goes on when the sidecar restarts or does not answer', async (t) => {
  const restarted = { ...counted, changes_applied: 4 }
  const { lines } = await watched(t, [counted, restarted, refused, refused, restarted, restarted])
  t.match(lines, [
    'the sidecar has been restarted',
    'waiting for the sidecar: The database cannot be reached',
    'the sidecar answers again',
    /^reads 0/,
  ])
  t.equal(lines.length, 4, 'a reason is told once')
})

t.test('watch fails if the sidecar never answers, and ends at once when it is stopped', async (t) => {
  const { url, asked } = await fakeListener(t, () => refused)
  await t.rejects(commandRun(watch, { values: { url } }), { message: 'The database cannot be reached' })
  for (const seconds of ['0.09', '3601', 'x'])
    await t.rejects(commandRun(watch, { values: { url, seconds } }), usage(/from 0.1 to 3600$/), seconds)
  t.equal(asked.length, 1)
  const stop = new AbortController()
  const { url: working, asked: once } = await fakeListener(t, () => {
    setImmediate(() => stop.abort())
    return counted
  })
  t.match(await commandRun(watch, { values: { url: working, seconds: '3600' }, stop: stop.signal }), {
    code: 0,
    out: { length: 0 },
  })
  t.equal(once.length, 1)
})
