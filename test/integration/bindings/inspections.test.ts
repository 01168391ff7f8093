/** When a session of the change feed inspects the bindings, and what it has passed on before it proves anything. */

import pg from 'pg'
import t, { type Test } from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { bindingQuery } from '../../support/film-tables.js'
import { guestOf } from '../../support/guest.js'
import { inspectNow } from '../../support/held-answers.js'
import { type RecordedFeed, startRecordedFeed } from '../../support/recorded-feed.js'

/** A database with a bound table. Its owner is no superuser, so there is no event trigger. */
async function setting(t: Test) {
  const database = await freshDatabase(t)
  const { url } = await guestOf(t, database)
  await migrate(url)
  const owner = new pg.Client({ connectionString: url })
  owner.on('error', () => undefined)
  await owner.connect()
  t.teardown(() => owner.end())
  const query = (sql: string) => owner.query(sql)
  await query("create table item (id int primary key, v text); select cache_bind('item', key => 'item:{id}')")
  const { rows } = await query('select from pg_event_trigger')
  t.equal(rows.length, 0)
  return { query, url }
}

async function started(t: Test) {
  const { query, url } = await setting(t)
  return { query, feed: await startRecordedFeed(t, { url }) }
}

const inspections = ({ steps }: RecordedFeed) =>
  steps.flatMap((step) => (step.kind === 'bound' ? [step.bindings] : []))
const probes = ({ steps }: RecordedFeed) =>
  steps.flatMap((step) => (step.kind === 'proven' ? [step.asOfMs] : []))
const fingerprint = (feed: RecordedFeed) => inspections(feed).at(-1)?.[0]?.fingerprint
const probeTwice = async (feed: RecordedFeed) => {
  const before = probes(feed).length
  await eventually(() => probes(feed).length >= before + 2)
}

t.test('a probe proves nothing before changed bindings have been passed on', async (t) => {
  const { query, feed } = await started(t)
  await probeTwice(feed)
  // Nothing announces other bindings, so a probe has to find them.
  await query('alter table cache_bound_tables disable trigger user')
  for (const sql of [
    "select cache_bind('item', key => 'item:{id}', columns => array['v'])",
    "select cache_bind('item', key => 'item:{id}', in_group => 'items')",
    "select cache_unbind('item:{id}')",
    "select cache_bind('item', key => 'item:{id}')",
  ]) {
    const count = inspections(feed).length
    const from = feed.steps.length
    await query(sql)
    const committedMs = feed.now()
    await eventually(() => inspections(feed).length > count)
    await probeTwice(feed)
    const steps = feed.steps.slice(from)
    const passedOn = steps.findIndex(({ kind }) => kind === 'bound')
    const proven = steps.findIndex((step) => step.kind === 'proven' && step.asOfMs >= committedMs)
    t.ok(passedOn < proven, sql)
  }
})

t.test('a definition that nobody announces is noticed within a minute', async (t) => {
  const { query, feed } = await started(t)
  await probeTwice(feed)
  const [before, count] = [fingerprint(feed), inspections(feed).length]
  await query('alter table item add column n int default 7')
  await probeTwice(feed)
  t.equal(inspections(feed).length, count, 'not by a probe')
  feed.pass(30_000)
  await probeTwice(feed)
  t.equal(inspections(feed).length, count, 'not after half a minute')
  feed.pass(30_000)
  await eventually(() => fingerprint(feed) !== before)
  t.equal(inspections(feed).length, count + 1)
})

t.test('an announcement brings the inspection forward', async (t) => {
  const { query, feed } = await started(t)
  await probeTwice(feed)
  const before = fingerprint(feed)
  await query(`
    begin;
    alter table item add column n int default 7;
    ${inspectNow};
    commit`)
  await eventually(() => fingerprint(feed) !== before)
  t.pass('without a minute')
})

/**
 * A feed on so many bound queries that their inspection takes longer than the start of a session, or a probe, may. Each
 * of them takes a moment, as on a server that has much else to do.
 */
async function slowlyInspected(t: Test) {
  const { query, url } = await setting(t)
  const bind = Array.from({ length: 60 }, (_, index) =>
    bindingQuery(`page${index}:{id}`, 'select v from item where id = $1', { item: '{id}' }),
  )
  await query(bind.join(';'))
  await query(`create or replace function cache_uses(query regprocedure) returns table (class oid, id oid)
    language plpgsql stable as $$ begin perform pg_sleep(0.06); end $$`)
  return { query, feed: await startRecordedFeed(t, { url, maxStalenessMs: 3_000 }) }
}

t.test('many bindings end no session, and hold up no probe', async (t) => {
  const { query, feed } = await slowlyInspected(t)
  await probeTwice(feed)
  t.same(feed.told, ['listening'], 'the session has begun')
  const before = fingerprint(feed)
  await query('alter table item add column n int default 7')
  const passedMs = feed.now()
  feed.pass(60_000)
  await eventually(() => fingerprint(feed) !== before)
  const passedOn = feed.steps.findLastIndex(({ kind }) => kind === 'bound')
  const meanwhile = feed.steps
    .slice(0, passedOn)
    .filter((step) => step.kind === 'proven' && step.asOfMs > passedMs)
  t.ok(meanwhile.length > 1, 'probes go on')
  await probeTwice(feed)
  t.same(feed.told, ['listening'], 'the session goes on')
})

t.test('an inspection that began before another one is passed on neither before nor after it', async (t) => {
  const { query, feed } = await slowlyInspected(t)
  await probeTwice(feed)
  const count = inspections(feed).length
  const before = fingerprint(feed)
  feed.pass(60_000)
  await probeTwice(feed)
  t.equal(inspections(feed).length, count, 'the one of the minute has begun')
  await query(`begin; alter table item add column n int default 7; ${inspectNow}; commit`)
  await eventually(() => fingerprint(feed) !== before)
  await probeTwice(feed)
  await probeTwice(feed)
  t.equal(inspections(feed).length, count + 1)
  t.not(fingerprint(feed), before)
})
