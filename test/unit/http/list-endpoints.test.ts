import t from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import type { ListedEntry, PageRequest } from '../../../src/core/reads/listing.js'
import { type ModelHttpOptions, modelHttp } from '../../support/model-http.js'

/** A listing that answers, or fails with `error`. `asked` is what it was asked for. */
function listingOf({ error, isCrowded = false }: { error?: Error; isCrowded?: boolean } = {}) {
  const asked: unknown[] = []
  const answered = async <T>(question: unknown, answer: T) => {
    asked.push(question)
    if (error) throw error
    return answer
  }
  const row = { key: 'k', version: '7', bytes: 3, groups: [] } as unknown as ListedEntry
  const listing = {
    isCrowded,
    page: (request: PageRequest) => answered(request, { rows: [row], next: undefined }),
    count: (prefix: string) => answered(prefix, 7),
  } as unknown as NonNullable<ModelHttpOptions['listing']>
  return { asked, listing }
}

const paths = ['/v1/entries', '/v1/entries:count']

t.test('a page and a count come from the database, and are counted so', async (t) => {
  const { asked, listing } = listingOf()
  const { client, counted } = await modelHttp(t, { listing })
  const [page, count] = await Promise.all(
    paths.map((path) => client.request('GET', `${path}?prefix=user%3A`)),
  )
  t.match(page, { status: 200, body: { entries: [{ key: 'k' }] } })
  t.strictSame([count?.status, count?.body], [200, { count: 7 }])
  t.same(asked, [{ prefix: 'user:', limit: 100, after: '', withValues: false }, 'user:'])
  t.strictSame(counted().sort(), ['/v1/entries ok db', '/v1/entries:count ok db'])
})

t.test('where too many lists wait, another is refused, and the database is not asked', async (t) => {
  const { asked, listing } = listingOf({ isCrowded: true })
  const { client, counted } = await modelHttp(t, { listing })
  for (const path of paths)
    t.match(await client.request('GET', path), {
      status: 503,
      headers: { 'retry-after': '1' },
      body: { type: /#too-many-lists$/, detail: /^Too many requests for lists and counts are waiting/ },
    })
  t.strictSame(asked, [])
  t.strictSame(counted().sort(), ['/v1/entries unavailable none', '/v1/entries:count unavailable none'])
})

t.test('a list or a count that takes too long is told from other busy statements', async (t) => {
  const { listing } = listingOf({ error: new CacheError('store-busy', 'm') })
  const { client } = await modelHttp(t, { listing })
  const details = [
    'The database did not list the entries in time: an index on (key collate "C") makes lists fast',
    'The database did not count the entries in time: give a longer prefix',
  ]
  for (const [index, path] of paths.entries())
    t.match(await client.request('GET', path), {
      status: 503,
      headers: { 'retry-after': '1' },
      body: { type: /#slow-list$/, detail: details[index] },
    })
})

t.test('any other failure of a list is the one that it is', async (t) => {
  const { listing } = listingOf({ error: new CacheError('forbidden', 'm') })
  const { client } = await modelHttp(t, { listing })
  for (const path of paths)
    t.match(await client.request('GET', path), { status: 403, body: { type: /#forbidden$/ } })
})
