/** When a session of the change feed inspects the bindings, and what it has passed on before it proves anything. */

import pg from 'pg'
import t, { type Test } from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
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
  const { query, feed } = await setting(t)
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
  const { query, feed } = await setting(t)
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
  const { query, feed } = await setting(t)
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
