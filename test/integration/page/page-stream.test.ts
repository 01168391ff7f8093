import t, { type Test } from 'tap'
import { keyHash } from '../../../src/core/state/key-hash.js'
import type { Changes, PageEvents } from '../../../src/http/ops/page/page-data.js'
import { cacheDatabase } from '../../support/database.js'
import { EventStream } from '../../support/event-stream.js'
import {
  type StartedSidecar,
  type StartOptions,
  startLiveSidecar,
  startSidecar,
} from '../../support/sidecar.js'

const { url, query } = await cacheDatabase(t)

const start = (t: Test, options: Partial<StartOptions> = {}) =>
  startLiveSidecar(t, { databaseUrl: url, ...options })

async function open(t: Test, { ops }: StartedSidecar, headers: Readonly<Record<string, string>> = {}) {
  const stream = await EventStream.open(t, `${ops.base}/ui/stream`, headers)
  const next = async <Name extends keyof PageEvents>(name: Name) =>
    (await stream.next(name))?.data as unknown as PageEvents[Name]
  return { stream, next, opening: await next('open') }
}

/** Writes a key by SQL, and resolves to the next changes that a page gets. */
async function changed(next: (name: 'changes') => Promise<Changes>, key: string): Promise<Changes> {
  await query(`insert into cache_entries (key, value) values ('${key}', '1')`)
  return next('changes')
}

t.test('a page gets the state, and then what is new', async (t) => {
  const sidecar = await start(t, { pageKeys: 'on' })
  const { stream, next, opening } = await open(t, sidecar)
  t.match(stream.headers, { 'content-type': /^text\/event-stream/, 'cache-control': 'no-store' })
  t.match(opening, {
    version: '0.0.0-test',
    keys: 'on',
    needsToken: false,
    overview: {
      status: 'ready',
      reasons: { length: 0 },
      feed: 'live',
      capacity: 1_000,
      maxStalenessMs: 3_000,
    },
    feed: [{ state: 'catching-up', was: 'down' }, { state: 'live' }],
  })
  t.ok(opening.overview.upMs > 0 && opening.overview.upMs < 60_000, 'the time since the start')
  t.match(await changed(next, 'by SQL'), { rows: [{ operation: 'set', key: 'by SQL' }], skipped: 0 })
  await sidecar.client.get('by SQL')
  let tick = await next('sample')
  t.equal(tick.sample?.length, opening.columns.length)
  // A sample that was taken before the read may come first.
  while (tick.overview.entries !== 1) tick = await next('sample')

  const again = await open(t, sidecar)
  t.ok(again.opening.history.length > 0, 'a reload keeps the history')
  t.match(again.opening.changes.rows, [{ key: 'by SQL' }], 'and the changes')
})

t.test('keys can be hashed', async (t) => {
  const { next, opening } = await open(t, await start(t, { pageKeys: 'hash' }))
  t.equal(opening.keys, 'hash')
  const { rows } = await changed(next, 'hashed')
  t.match(rows, [{ key: keyHash('hashed').slice(0, 16), isHash: true }])
})

t.test('whoever may not see keys gets states and counters', async (t) => {
  const local = await start(t)
  const forwarded = await open(t, local, { 'X-Forwarded-For': '10.1.2.3' })
  t.match(forwarded.opening, { keys: 'refused', needsToken: false, changes: { rows: { length: 0 } } })

  const withToken = await startSidecar(t, { databaseUrl: url, apiToken: 'secret' })
  const refused = await open(t, withToken)
  t.match(refused.opening, { keys: 'refused', needsToken: true, changes: { rows: { length: 0 } } })
  const admitted = await open(t, withToken, { Authorization: 'Bearer secret' })
  t.equal(admitted.opening.keys, 'on')

  await query(`insert into cache_entries (key, value) values ('private', '1')`)
  while (!JSON.stringify(await admitted.next('changes')).includes('private'));
  // This sample was sent after the changes.
  const { sample } = await admitted.next('sample')
  const seen: unknown[] = []
  for (let last: unknown; Number(last ?? 0) < Number(sample?.[0]); ) {
    const event = await refused.stream.next('changes', 'sample')
    seen.push(event?.name)
    last = (event?.data.sample as readonly number[] | undefined)?.[0]
  }
  t.notOk(seen.includes('changes'))
})

t.test('the cure of a lost feed fits its reason, which need not be the connection', async (t) => {
  const sidecar = await start(t, { pageKeys: 'on' })
  const { next } = await open(t, sidecar)
  await query('alter table cache_entries disable trigger cache_entries_3_updated')
  t.teardown(() => query('alter table cache_entries enable always trigger cache_entries_3_updated'))
  let { reasons } = (await next('sample')).overview
  while (reasons.length === 0) reasons = (await next('sample')).overview.reasons
  t.match(reasons, [{ text: /trigger is missing or not enabled/, cure: /repair what the reason names/ }])
})

t.test('the page has its own Host check, and can be turned off', async (t) => {
  const sidecar = await start(t)
  const evil = await sidecar.ops.request('GET', '/ui/stream', { headers: { Host: 'evil.example' } })
  t.equal(evil.status, 421)
  t.equal((await sidecar.ops.request('POST', '/ui/stream')).status, 405)
  for (const path of ['/', '/ui'])
    t.match(await sidecar.ops.request('GET', path), { status: 307, headers: { location: 'ui/' } }, path)
  t.match(await sidecar.ops.request('POST', '/'), { status: 405, headers: { allow: 'GET, HEAD' } })
  t.equal((await sidecar.ops.request('GET', '/ui/../ui/nothing')).status, 404)
  const without = await start(t, { hasPage: false })
  for (const path of ['/', '/ui', '/ui/', '/ui/stream'])
    t.equal((await without.ops.request('GET', path)).status, 404, path)
  t.notMatch((await without.client.request('GET', '/', { headers: { Accept: 'text/html' } })).text, /\/ui\//)
})
