import t from 'tap'
import type { Config } from '../../../src/config/config.js'
import { loadConfig } from '../../../src/config/load.js'
import type { DatabaseView, FindingsView, SettingsView } from '../../../src/http/ops/page/view-data.js'
import { createPage, type PageSources } from '../../../src/sidecar/create-page.js'
import { DrivenClock } from '../../support/driven-clock.js'

const loaded = loadConfig({ CACHE_CAPACITY: '77' })

type Sources = { readonly [Name in Exclude<keyof PageSources, 'feed'>]?: unknown } & {
  /** State of the feed. */
  readonly feed?: string
  /** Asks the database for facts. */
  readonly facts?: () => Promise<unknown>
}

/** Creates the page of a sidecar with models of its parts. */
function pageOf({ feed = 'live', facts = async () => [], ...more }: Sources = {}) {
  const sources = {
    config: () => loaded.config,
    settingSources: loaded.sources,
    inspectDatabase: undefined,
    cache: {
      status: () => ({ feed, stats: {} }),
      following: { changeLog: { last: 0, generation: 0 } },
      readsOf: (pattern: string) => ({ hits: pattern.length, misses: 2 }),
    },
    database: {
      use: () => ({ total: 2 }),
      errorCounts: new Map([['store-busy', 3]]),
      read: facts,
    },
    schema: { get: () => 'public' },
    feed: { drains: { statements: 4, rows: 5 } },
    attempts: { status: () => ({ breaker: 'closed' }) },
    bindings: { sources: [] },
    requests: { durations: () => [] },
    eventLoopDelay: { cumulative: () => [] },
    clock: new DrivenClock(),
    ...more,
  }
  return createPage(sources as unknown as PageSources)
}

const viewed = async <View>(name: 'database' | 'findings' | 'settings', sources: Sources = {}) =>
  (await pageOf(sources)?.views.get(name, '')) as View

t.test('a database that does not answer is shown with what this sidecar knows of it', async (t) => {
  const facts = () => Promise.reject(new Error('unavailable'))
  t.strictSame(await viewed<DatabaseView>('database', { facts }), {
    pool: { total: 2 },
    attempts: { breaker: 'closed' },
    errors: [{ code: 'store-busy', count: 3 }],
    drains: { statements: 4, rows: 5 },
    facts: null,
    bindings: [],
  })
})

t.test('an idle sidecar does not ask the database for the page', async (t) => {
  let asked = 0
  const facts = async () => [{ serverVersion: `answer ${++asked}` }]
  t.match(await viewed('database', { facts, feed: 'idle' }), { facts: null })
  t.equal(asked, 0)
  t.match(await viewed('database', { facts }), { facts: { serverVersion: 'answer 1' } })
})

t.test('a binding has its source, its way of announcing, its fault and its reads', async (t) => {
  const fault = { says: 'it was dropped', cure: 'bind it again', shown: 'for clients' }
  const bindings = {
    sources: [
      { pattern: { text: 'a:{id}' }, table: 'public.a', viaOutbox: false, fault: undefined },
      { pattern: { text: 'by:{id}' }, query: undefined, viaOutbox: true, fault },
    ],
    costs: { of: (pattern: string) => `costs of ${pattern}` },
  }
  const view = await viewed<DatabaseView>('database', { bindings })
  t.strictSame(view.bindings as readonly unknown[], [
    { pattern: 'a:{id}', source: 'table', announce: 'notify', hits: 6, misses: 2, reads: 'costs of a:{id}' },
    {
      pattern: 'by:{id}',
      source: 'query',
      announce: 'outbox',
      fault: { says: 'it was dropped', cure: 'bind it again' },
      hits: 7,
      misses: 2,
      reads: 'costs of by:{id}',
    },
  ])
})

t.test('findings and settings are those in force, and none where they are not known', async (t) => {
  const inspectDatabase = async ({ capacity }: Config) => [{ check: `of ${capacity}`, level: 'ok', says: '' }]
  t.match(await viewed('findings', { inspectDatabase }), { findings: [{ check: 'of 77' }] })
  t.strictSame((await viewed<FindingsView>('findings')).findings, [])
  const { settings } = await viewed<SettingsView>('settings')
  t.match(
    settings.find(({ variable }) => variable === 'CACHE_CAPACITY'),
    { value: 77, source: 'environment' },
  )
  t.strictSame((await viewed<SettingsView>('settings', { settingSources: undefined })).settings, [])
})

t.test('keys may be changed with the setting and a token only', async (t) => {
  const token = {}
  const config = (hasPageWrites: boolean) => () => ({ ...loaded.config, hasPageWrites })
  t.ok(pageOf({ token, config: config(true) })?.writes)
  t.equal(pageOf({ token, config: config(false) })?.writes, undefined)
  t.equal(pageOf({ config: config(true) })?.writes, undefined)
  t.equal(pageOf({ config: () => ({ ...loaded.config, hasPage: false }) }), undefined)
})
