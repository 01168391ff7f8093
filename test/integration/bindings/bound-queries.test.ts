/** P18: what a bound query answers, and how its keys follow changes of the tables. */

import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { bindFilmPage, bindingQuery, filmTables } from '../../support/film-tables.js'
import { hold as holdAt, untilApplied } from '../../support/held-answers.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const database = await cacheDatabase(t)
const { query } = database
await query(`
  ${filmTables}
  create table review (id int primary key, film_id int, stars int, at timestamptz default '2026-11-28 12:00+02');
  insert into review values (1, 1, 5), (2, 1, 4), (3, 2, 3), (70, 7, 1);
  create table category (id int primary key, name text);
  create table film_category (film_id int, category_id int, primary key (film_id, category_id));
  insert into category values (1, 'Drama');
  insert into film_category values (1, 1), (2, 1);
  create table code (tenant uuid, code text, day date, n int);
  insert into code values ('0189d0a2-0000-7000-8000-0000000000ff', 'a:b%', '2026-11-28', 1);
  ${bindFilmPage};
  ${bindingQuery('reviews_of:{film}', 'select id, stars, at from review where film_id = $1 order by id;', { 'public.review': '{film_id}' }, ", many => true, in_group => 'reviews'")};
  ${bindingQuery('one_review_of:{film}', 'select id from review where film_id = $1', { review: '{film_id}' })};
  ${bindingQuery('share:{film}', 'select 10 / (stars - 3) as n from review where film_id = $1 and id > 1', { review: '{film_id}' })};
  ${bindingQuery('code:{tenant}:{day}:{code}', 'select n from code where code = $3 and day = $2 and tenant = $1', { code: '{tenant}:{day}:{code}' })};
  ${bindingQuery(
    'categories_of:{film}',
    'select name from category join film_category on category_id = id where film_id = $1',
    {
      film_category: ['{film_id}', 'select film_id from film_category where category_id = {category_id}'],
      category: 'select film_id from film_category where category_id = {id}',
    },
    ', many => true',
  )};
`)
// Nothing expires, so what is not announced is never noticed.
const { client } = await startLiveSidecar(t, { databaseUrl: database.url, ttlSeconds: 0 })

const hold = (key: string) => holdAt(client, key)

/** Holds a key, runs the statement, and waits until the key has this answer. */
async function becomes(sql: string, key: string, value: unknown): Promise<void> {
  await hold(key)
  await query(sql)
  await eventually(async () => JSON.stringify(await client.value(key)) === JSON.stringify(value))
}

t.test('a row is answered as JSON, and several rows as an array', async (t) => {
  const page = { title: 'Film 2', actors: ['Actor 17', 'Actor 18'] }
  t.match(await client.get('film_page:2'), { status: 200, body: { value: page, source: 'db' } })
  t.strictSame(await hold('film_page:2'), page)
  const at = '2026-11-28T10:00:00+00:00'
  t.strictSame(await client.value('reviews_of:1'), [
    { id: 1, stars: 5, at },
    { id: 2, stars: 4, at },
  ])
  t.strictSame(await client.value('code:0189d0a2-0000-7000-8000-0000000000ff:2026-11-28:a%3Ab%25'), { n: 1 })
})

t.test('no row is 404, also from memory, and so is another spelling', async (t) => {
  for (const key of ['film_page:99', 'reviews_of:9', 'film_page:02', 'film_page:x'])
    t.equal((await client.get(key)).status, 404, key)
  t.equal(await hold('film_page:99'), undefined)
  t.equal(await hold('reviews_of:9'), undefined)
  await becomes("insert into film values (99, 'New')", 'film_page:99', { title: 'New', actors: [] })
  await becomes('insert into review values (9, 9, 1)', 'reviews_of:9', [
    { id: 9, stars: 1, at: '2026-11-28T10:00:00+00:00' },
  ])
})

t.test('many keys are read by one statement', async (t) => {
  const keys = ['film_page:1', 'film_page:3', 'film_page:77', 'film_page:4', 'film_page:03']
  const { body } = await client.request('POST', '/v1/entries:get', { body: { keys, consistency: 'strong' } })
  t.match(body, {
    entries: [{ value: { title: 'Film 1' } }, { value: { title: 'Film 3' } }, { value: { title: 'Film 4' } }],
    missing: ['film_page:77', 'film_page:03'],
  })
  const { body: again } = await client.request('POST', '/v1/entries:get', {
    body: { keys, consistency: 'strong' },
  })
  t.same(again, body, 'with the same versions')
})

t.test('a version is the hash of the answer', async (t) => {
  const etagOf = async () => (await client.request('GET', '/v1/entries/film_page%3A5')).headers.etag
  const etag = await etagOf()
  t.match(etag, /^"[0-9a-f]{32}-\d+-[0-9A-F]{8}"$/)
  await query("update film set title = 'Other' where film_id = 5")
  await eventually(async () => (await etagOf()) !== etag)
  await query("update film set title = 'Film 5' where film_id = 5")
  await eventually(async () => (await etagOf()) === etag)
})

t.test('a change of a row that names the key', async () => {
  await becomes("update film set title = 'One' where film_id = 1", 'film_page:1', {
    title: 'One',
    actors: ['Actor 17'],
  })
  await becomes('insert into film_actor values (1, 18)', 'film_page:1', {
    title: 'One',
    actors: ['Actor 17', 'Actor 18'],
  })
  await becomes('update film_actor set film_id = 3 where film_id = 1 and actor_id = 17', 'film_page:1', {
    title: 'One',
    actors: ['Actor 18'],
  })
  await becomes('delete from film_actor where film_id = 1', 'film_page:1', { title: 'One', actors: [] })
  await becomes('truncate film_actor', 'film_page:2', { title: 'Film 2', actors: [] })
  await query('insert into film_actor values (1, 17), (2, 17), (2, 18)')
  await becomes(
    "delete from code; insert into code values ('0189d0a2-0000-7000-8000-0000000000ff', 'a:b%', '2026-11-28', 2)",
    'code:0189d0a2-0000-7000-8000-0000000000ff:2026-11-28:a%3Ab%25',
    { n: 2 },
  )
})

t.test('a change of a row that a query leads to keys', async (t) => {
  await becomes("update actor set name = 'Seventeen' where actor_id = 17", 'film_page:2', {
    title: 'Film 2',
    actors: ['Seventeen', 'Actor 18'],
  })
  await becomes('update actor set actor_id = 170 where actor_id = 17', 'film_page:2', {
    title: 'Film 2',
    actors: ['Actor 18'],
  })
  await becomes("insert into actor values (17, 'Again')", 'film_page:2', {
    title: 'Film 2',
    actors: ['Again', 'Actor 18'],
  })
  await hold('categories_of:2')
  await becomes("update category set name = 'Comedy'", 'categories_of:1', [{ name: 'Comedy' }])
  await becomes('delete from film_category where film_id = 1', 'categories_of:1', undefined)
  t.equal((await client.value('film_page:3')) !== undefined, true)
})

t.test('a query for one row that returns several fails for this key only', async (t) => {
  const problem = {
    status: 503,
    body: {
      detail:
        /query by one_review_of:\{film\}, and its query returns several rows for this key: bind it with many => true$/,
      type: /#binding-unusable$/,
    },
  }
  const answers = await Promise.all(
    ['one_review_of:1', 'one_review_of:2', 'one_review_of:8'].map((key) => client.get(key)),
  )
  t.match(answers, [problem, { status: 200, body: { value: { id: 3 } } }, { status: 404 }])
  t.match(await client.get('one_review_of:1'), problem)
  const bulk = (keys: readonly string[]) => client.request('POST', '/v1/entries:get', { body: { keys } })
  t.match(await bulk(['one_review_of:2', 'one_review_of:1']), {
    ...problem,
    body: { detail: /one_review_of:1/ },
  })
  t.match(await bulk(['one_review_of:2', 'one_review_of:8']), { status: 200 })
  await hold('one_review_of:2')
  await query('insert into review values (4, 2, 2)')
  await eventually(async () => (await client.get('one_review_of:2')).status === 503)
  await query('delete from review where id = 4')
  await untilApplied(database, client)
  await hold('one_review_of:2')
  // A change that only a comparison can find.
  await query('begin; insert into review values (4, 2, 2); delete from cache_outbox; commit')
  await query("select pg_notify(cache_channel('public', 'cache_entries'), '*')")
  await eventually(async () => (await client.get('one_review_of:2')).status === 503)
  await query('delete from review where id = 4')
  await eventually(async () => (await client.get('one_review_of:2')).status === 200)
})

t.test('an error of one key does not fail others', async (t) => {
  // The first one is sent alone, and the others together.
  const keys = ['share:8', 'share:1', 'share:2', 'share:7']
  const [, ...answers] = await Promise.all(keys.map((key) => client.get(key)))
  t.match(answers, [
    { status: 200, body: { value: { n: 10 } } },
    { status: 503, body: { detail: /its query fails for this key/ } },
    { status: 200, body: { value: { n: -5 } } },
  ])
  t.match(await client.get('share:1'), { status: 200 })
  const { body } = await client.request('POST', '/v1/entries:get', { body: { keys: ['share:1', 'share:2'] } })
  t.match(body.detail, /share:2/)
})

t.test('writes of keys of a query are refused', async (t) => {
  t.match(await client.set('film_page:1', 1), { status: 409, body: { detail: /film_page:\{id\}/ } })
  t.match(await client.delete('film_page:1'), { status: 409 })
})

t.test('invalidation by key, group, prefix and of everything asks the query again', async (t) => {
  const asks = async (key: string, sql: string) => {
    await hold(key)
    await query(sql)
    await eventually(async () => (await client.get(key)).body.source === 'db')
    t.pass(sql)
  }
  await asks('reviews_of:1', "select cache_invalidate('reviews_of:1')")
  await asks('reviews_of:1', "select cache_invalidate_group('reviews')")
  await asks('reviews_of:1', "select cache_invalidate_prefix('reviews_of:')")
  await asks('reviews_of:1', "select cache_invalidate_prefix('rev')")
  await asks('film_page:1', 'select cache_invalidate_all()')
  await hold('film_page:1')
  await query("select cache_invalidate_group('reviews'), cache_invalidate_group('others')")
  await eventually(async () => (await client.get('reviews_of:1')).body.source === 'cache')
  t.equal((await client.get('film_page:1')).body.source, 'cache')
})

t.test('an answer that depends on the clock is held for its ttl, and its absence too', async (t) => {
  await query(
    bindingQuery(
      'open:{film}',
      "select now() > '2000-01-01' as is_past from film where film_id = $1 and now() is not null",
      { film: '{film_id}' },
      ", ttl => '2 minutes'",
    ),
  )
  await eventually(async () => (await client.get('open:1')).status === 200)
  const { body } = await client.get('open:1')
  t.match(body.value, { is_past: true })
  const seconds = body.expires_in_seconds as number
  t.ok(seconds > 60 && seconds <= 120, `${seconds}`)
  const absenceOf = (key: string) => client.request('GET', `/v1/entries/${key}`)
  for (const cacheStatus of [/fwd=miss/, /hit/]) {
    const { status, headers } = await absenceOf('open:97')
    t.match(headers['cache-status'], cacheStatus)
    const [, maxAge] = /^max-age=(\d+)$/.exec(headers['cache-control'] ?? '') ?? []
    t.ok(status === 404 && Number(maxAge) > 60 && Number(maxAge) <= 120, `${status} ${maxAge}`)
  }
  t.equal((await absenceOf('film_page:97')).headers['cache-control'], undefined, 'without a ttl')
  await query(
    bindingQuery(
      'open:{film}',
      'select now() from film where film_id = $1',
      { film: '{film_id}' },
      ", ttl => '1 ms'",
    ),
  )
  await eventually(async () => (await client.get('open:1')).body.expires_in_seconds === 0)
  for (const key of ['open:1', 'open:98']) {
    await client.get(key)
    // Within its time, even 1 ms, it may be served.
    await eventually(async () => (await client.get(key)).headers['cache-status']?.includes('fwd=') === true)
    t.pass(`${key} is not served after its time`)
  }
})
