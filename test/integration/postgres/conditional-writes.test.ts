/** Tests of `PostgresStore.writeIf` in every interleaving with another transaction; see conditional-statement.ts. */
import pg from 'pg'
import t, { type Test } from 'tap'
import type { ConditionalAnswer } from '../../../src/core/ports.js'
import { entryTag, type WriteCondition } from '../../../src/core/state/entry-tag.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { storeParts } from '../../support/store-parts.js'

const { url, query } = await cacheDatabase(t)
const parts = storeParts(t, url, { poolSize: 8 })
const store = new PostgresStore(parts)

t.beforeEach(async () => {
  await query('truncate cache_entries')
})

function write(value: string | undefined, condition: WriteCondition = {}): Promise<ConditionalAnswer> {
  return store.writeIf({ key: 'k', value, condition })
}

/** Returns the tag of a row with the value 0, which it writes. */
async function initial(): Promise<string> {
  const { written } = await write('0')
  if (written === undefined) throw new Error('nothing was written')
  return entryTag(written)
}

async function stored(): Promise<string | undefined> {
  const { rows } = await query<{ value: string }>('select value from cache_entries')
  return rows[0]?.value
}

/**
 * Begins the statement while another transaction has run `sql` and not ended, and ends that transaction once the
 * statement waits for it.
 */
async function beside(
  t: Test,
  sql: string,
  end: 'commit' | 'rollback',
  send: () => Promise<ConditionalAnswer>,
): Promise<ConditionalAnswer> {
  const other = new pg.Client(url)
  await other.connect()
  t.teardown(() => other.end())
  await other.query('begin')
  await other.query(sql)
  const sent = send()
  await eventually(async () => {
    const { rowCount } = await query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return rowCount === 1
  })
  await other.query(end)
  return sent
}

const update = `update cache_entries set value = '9'`
const remove = 'delete from cache_entries'
const insert = `insert into cache_entries (key, value, content_type) values ('k', '9', 'application/json')`

t.test('1: the row changes', async (t) => {
  for (const value of ['1', undefined]) {
    const tag = await initial()
    const late = await beside(t, update, 'commit', () => write(value, { match: [tag] }))
    t.match(late, { isMet: false, written: undefined })
    t.equal(await stored(), '9')
    const undone = await beside(t, update, 'rollback', () =>
      write(value, { match: [entryTag(beforeOf(late))] }),
    )
    t.match(undone, { isMet: true, before: late.before })
    t.equal(await stored(), value)
    await query(remove)
  }
  const tag = await initial()
  t.match(await beside(t, update, 'commit', () => write('1', { noneMatch: [tag] })), { isMet: true })
  t.equal(await stored(), '1')
})

function beforeOf({ before = '', epoch }: ConditionalAnswer) {
  return { version: before, epoch }
}

t.test('2: the row is deleted', async (t) => {
  let tag = await initial()
  const late = await beside(t, remove, 'commit', () => write('1', { match: [tag] }))
  t.match(late, { isMet: false, before: undefined })
  t.equal(await stored(), undefined)
  tag = await initial()
  t.match(await beside(t, remove, 'commit', () => write('1', { noneMatch: [tag] })), {
    isMet: true,
    before: undefined,
    written: { isAsSent: true },
  })
  t.match(await beside(t, remove, 'commit', () => write(undefined)), {
    isMet: true,
    before: undefined,
    written: undefined,
  })
})

t.test('2: the row is deleted and inserted again', async (t) => {
  let tag = await initial()
  t.match(await beside(t, `${remove}; ${insert}`, 'commit', () => write('1', { match: [tag] })), {
    isMet: false,
  })
  t.equal(await stored(), '9')
  tag = await initial()
  const { rows } = await query<{ version: string }>('select version from cache_entries')
  const replaced = await beside(t, `${remove}; ${insert}`, 'commit', () => write('1'))
  t.match(replaced, { isMet: true, before: /^\d+$/, written: {} })
  t.not(replaced.before, rows[0]?.version)
  t.equal(await stored(), '1')
  t.match(await beside(t, `${remove}; ${insert}`, 'commit', () => write('2', { noneMatch: '*' })), {
    isMet: false,
  })
})

t.test('3: a row is inserted', async (t) => {
  t.match(await beside(t, insert, 'rollback', () => write('1', { noneMatch: '*' })), {
    isMet: true,
    before: undefined,
    written: {},
  })
  t.equal(await stored(), '1')
  await query(remove)
  const late = await beside(t, insert, 'commit', () => write('1', { noneMatch: '*' }))
  t.match(late, { isMet: false, before: /^\d+$/, written: undefined })
  t.equal(await stored(), '9')
  await query(remove)
  t.match(await beside(t, insert, 'commit', () => write('1')), { isMet: true, before: /^\d+$/ })
  t.equal(await stored(), '1')
})

t.test('4: of many inserts, deletes and replacements at once, each one is told what it did', async (t) => {
  const answers = await Promise.all(
    Array.from({ length: 400 }, async (_, index) => {
      const isDelete = index % 3 === 0
      const answer = await write(isDelete ? undefined : String(index))
      t.ok(answer.isMet)
      t.equal(answer.written === undefined, isDelete && answer.before === undefined)
      return { isDelete, existed: answer.before !== undefined }
    }),
  )
  const created = answers.filter(({ isDelete, existed }) => !isDelete && !existed).length
  const deleted = answers.filter(({ isDelete, existed }) => isDelete && existed).length
  t.ok(created > 1)
  t.equal(created - deleted, (await stored()) === undefined ? 0 : 1)
  const others = await Promise.all(Array.from({ length: 50 }, () => write('1', { noneMatch: '*' })))
  t.equal(others.filter(({ isMet }) => isMet).length, 1 - (created - deleted))
})

for (const isolation of ['repeatable read', 'serializable']) {
  t.test(`in sessions with ${isolation}, the statement is sent again`, async (t) => {
    const options = `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}`
    const strict = `${url}?options=${encodeURIComponent(options)}`
    const store = new PostgresStore(storeParts(t, strict))
    const tag = await initial()
    const send = (condition: WriteCondition) => () => store.writeIf({ key: 'k', value: '1', condition })
    t.match(await beside(t, update, 'commit', send({ match: [tag] })), { isMet: false })
    t.match(await beside(t, update, 'commit', send({ match: '*' })), { isMet: true, before: /^\d+$/ })
    await query(remove)
    t.match(await beside(t, insert, 'commit', send({ noneMatch: '*' })), { isMet: false })
  })
}

t.test('a trigger that leaves the row out or renames it', async (t) => {
  t.teardown(() => query('drop function altered() cascade'))
  await query(`create function altered() returns trigger language plpgsql as $$ begin
    if new.value = '"out"' or new.value = 'out' then return null; end if;
    new.key := 'renamed'; return new; end $$`)
  await query(`create trigger altered before insert on cache_entries for each row execute function altered()`)
  for (const value of ['"out"', '"a"'])
    t.match(await write(value, { noneMatch: '*' }), { isMet: true, written: undefined }, value)
})
