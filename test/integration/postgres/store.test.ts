import pg from 'pg'
import t, { type Test } from 'tap'
import type { Base, PendingWrite, StoredEntry, Unchanged, Written } from '../../../src/core/entry.js'
import { CacheError } from '../../../src/core/errors.js'
import type { Held, Wanted, WriteAnswer } from '../../../src/core/ports.js'
import { Attempts } from '../../../src/postgres/pool/attempts.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { SchemaName } from '../../../src/postgres/schema/schema-name.js'
import { fingerprintIn } from '../../../src/postgres/schema/table-identity.js'
import { PostgresStore } from '../../../src/postgres/store/store.js'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const fresh = await freshDatabase(t)
const { url, query } = fresh
await migrate(url)
const log = { info: () => {}, warn: () => {} }
const clock = { now: () => performance.now(), defer: setImmediate }
const database = new Database({ url, poolSize: 4, timeoutMs: 10_000, log })
t.teardown(() => database.close())
const store = storeOf(database)

function storeOf(database: Database, maxReadBytes?: number): PostgresStore {
  return new PostgresStore({
    database,
    attempts: new Attempts({ clock, log, timeoutMs: 10_000 }),
    schema: new SchemaName(database),
    maxReadBytes,
  })
}

/** Sends pending writes with the current fingerprint of the table, unless they have another. */
async function settle(writes: readonly PendingWrite[]) {
  const fingerprint = await fingerprintNow(query)
  const withFingerprint = (base: Base) => (base.kind === 'held' ? { fingerprint, ...base } : base)
  return store.settle(
    writes.map((write) => ({ ...write, base: withFingerprint(write.base) })),
    () => undefined,
  )
}

async function fingerprintNow(queryNow: typeof query): Promise<string> {
  const { rows } = await queryNow<{ fingerprint: string }>(`select ${fingerprintIn('public')} as fingerprint`)
  return rows[0]?.fingerprint ?? ''
}

/** Returns the entries of the table. */
async function entriesOf(
  wanted: readonly Wanted[],
  from = store,
): Promise<Map<string, StoredEntry | Unchanged>> {
  const answers = await from.read(wanted)
  const entries = new Map<string, StoredEntry | Unchanged>()
  for (const [key, answer] of answers)
    if (answer.version !== undefined && !('withheld' in answer)) entries.set(key, answer)
  return entries
}

t.beforeEach(async () => {
  await query('truncate cache_entries, cache_marks')
})

async function values(): Promise<Record<string, string>> {
  const { rows } = await query<{ key: string; value: string }>(
    'select key, value from cache_entries order by key',
  )
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]))
}

async function versionOf(key: string): Promise<string | undefined> {
  const { rows } = await query<{ version: string }>('select version from cache_entries where key = $1', [key])
  return rows[0]?.version
}

/** Runs SQL without triggers, as the owner of the table can: nothing is stamped or announced. */
async function silently(sql: string): Promise<void> {
  await query(`alter table cache_entries disable trigger user; ${sql}; alter table cache_entries enable trigger user;
    alter table cache_entries enable always trigger cache_entries_1_content_type,
      enable always trigger cache_entries_2_stamp, enable always trigger cache_entries_3_inserted,
      enable always trigger cache_entries_3_updated, enable always trigger cache_entries_3_deleted,
      enable always trigger cache_entries_3_truncated, enable replica trigger cache_entries_4_replicated`)
}

async function another(t: Test): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  return client
}

/** Resolves when a statement waits for a lock. */
function somebodyWaits(): Promise<unknown> {
  return eventually(async () => {
    const { rows } = await query(
      "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    )
    return rows.length > 0
  })
}

t.test('writes, reads and removes any number of keys', async (t) => {
  const written = await store.write([
    { key: 'text', value: '"a string"' },
    { key: 'json', value: '{"a":[1,null]}' },
  ])
  t.strictSame([...written.keys()].sort(), ['json', 'text'])
  t.equal(written.get('text')?.version, await versionOf('text'))
  t.strictSame(await values(), { json: '{"a":[1,null]}', text: 'a string' })
  const read = await entriesOf(wanted('text', 'json', 'none'))
  const entry = (key: string, value: string) => {
    const { isAsSent, ...stored } = written.get(key) as WriteAnswer
    t.equal(isAsSent, true)
    return { key, value, mediaType: undefined, isComparable: true, ...stored }
  }
  t.strictSame(
    [...read.values()].sort((a, b) => (a.key < b.key ? -1 : 1)),
    [entry('json', '{"a":[1,null]}'), entry('text', '"a string"')],
  )
  const { epoch } = await store.position()
  t.equal(written.get('text')?.epoch, epoch)
  t.strictSame(
    await store.versions(['text', 'none'], epoch),
    new Map([['text', written.get('text')?.version]]),
  )
  t.strictSame(
    await store.versions(['none'], epoch),
    new Map(),
    'no row is another answer than another history',
  )
  t.strictSame(
    await store.versions(['text'], 'another'),
    undefined,
    'versions of another history mean nothing',
  )
  const again = await store.write([{ key: 'json', value: '"text now"' }])
  t.not(again.get('json'), written.get('json'))
  t.match((await entriesOf(wanted('json'))).get('json'), {
    value: '"text now"',
    version: again.get('json')?.version,
  })
  t.strictSame(
    await store.remove(['text', 'none']),
    new Map([
      ['text', { version: `-${written.get('text')?.version}`, epoch, isAsSent: true }],
      ['none', { version: undefined, epoch }],
    ]),
  )
  t.strictSame(await values(), { json: 'text now' })
})

t.test('a write or a delete tells of a trigger of somebody else', async (t) => {
  await query(`create function odd() returns trigger language plpgsql as $$begin
    insert into cache_entries (key, value) values (old.key, 'again'); return null; end$$`)
  await query('create trigger odd after delete on cache_entries for each row execute function odd()')
  t.match((await store.write([{ key: 'k', value: '1' }])).get('k'), { isAsSent: false })
  t.match((await store.remove(['k'])).get('k'), { version: /^-/, isAsSent: false })
  t.match(await values(), { k: 'again' }, 'it is there all the same')
  await query('drop function odd() cascade')
  t.match((await store.remove(['k'])).get('k'), { version: /^-/, isAsSent: true })
})

t.test('values written by other clients are read', async (t) => {
  await query(
    `insert into cache_entries (key, value, content_type) values
       ('text', '{"looks":"like JSON"}', null), ('json', ' [1, 2] ', 'application/json'),
       ('broken', '{', 'application/json'), ('null', 'null', 'application/json'), ('other', 'x', 'text/plain')`,
  )
  const read = await entriesOf(wanted('text', 'json', 'broken', 'null', 'other'))
  const parsed = Object.fromEntries([...read].map(([key, { value }]) => [key, JSON.parse(value ?? '')]))
  t.strictSame(parsed, {
    text: '{"looks":"like JSON"}',
    json: [1, 2],
    broken: '{',
    null: 'null',
    other: 'x',
  })
})

t.test('P12: an entry expires by the clock of the database', async (t) => {
  await query(
    `insert into cache_entries (key, value, expires_at) values
       ('later', '', now() + interval '1 hour'), ('past', '', now() - interval '1 second'), ('never', '', null)`,
  )
  const read = await entriesOf(wanted('later', 'past', 'never'))
  t.strictSame([...read.keys()].sort(), ['later', 'never'])
  const remainingMs = read.get('later')?.remainingMs ?? 0
  t.ok(remainingMs > 3_500_000 && remainingMs <= 3_600_000)
  t.equal(read.get('never')?.remainingMs, undefined)
  await store.write([{ key: 'past', value: '1' }])
  t.equal(
    (await entriesOf(wanted('past'))).get('past')?.remainingMs,
    undefined,
    'a new value does not expire',
  )

  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await query(
    "insert into cache_entries (key, value, expires_at) values ('soon', 'here', now() + interval '3 s')",
  )
  t.equal(await client.value('soon'), 'here')
  await eventually(async () => (await client.value('soon')) === undefined)
  const { rows } = await query(
    "select from cache_entries where key = 'soon' and expires_at <= clock_timestamp()",
  )
  t.equal(rows.length, 1, 'not before its time, and the row is still there')
})

t.test('P10: of a batch, only the values that nobody holds come', async (t) => {
  await query(
    `insert into cache_entries (key, value, expires_at) values
       ('same', 'x', null), ('changed', 'x', null), ('restored', 'x', null), ('new', 'x', null),
       ('later', 'x', now() + interval '1 hour'), ('past', 'x', now() - interval '1 second')`,
  )
  const keys = ['same', 'changed', 'restored', 'new', 'later', 'past', 'absent']
  const before = await entriesOf(wanted(...keys))
  await query("update cache_entries set value = 'y' where key = 'changed'")
  const held = new Map<string, Held>()
  for (const [key, entry] of before) held.set(key, { ...entry, value: '"x"' })
  held.delete('new')
  for (const key of ['past', 'absent']) held.set(key, { ...(before.get('same') as Written), value: '"x"' })
  held.set('restored', { ...(held.get('restored') as Held), epoch: 'another history' })
  const read = await entriesOf(keys.map((key) => ({ key, held: held.get(key) })))
  t.strictSame(Object.fromEntries([...read].map(([key, { value }]) => [key, value])), {
    changed: '"y"',
    later: undefined,
    new: '"x"',
    restored: '"x"',
    same: undefined,
  })
  t.match(read.get('same'), { version: before.get('same')?.version, epoch: before.get('same')?.epoch })
  const remainingMs = read.get('later')?.remainingMs ?? 0
  t.ok(remainingMs > 3_500_000 && remainingMs <= 3_600_000)
})

t.test('P1: the version answered is the one the row ends with', async (t) => {
  await store.write([{ key: 'a', value: '0' }])
  const holder = await another(t)
  await holder.query("begin; select from cache_entries where key = 'a' for update")
  const writing = store.write([{ key: 'a', value: '1' }])
  await somebodyWaits()
  await holder.query("update cache_entries set value = '2' where key = 'a'")
  await holder.query('commit')
  t.equal((await writing).get('a')?.version, await versionOf('a'))
  t.strictSame(await values(), { a: '1' })
})

t.test('writers of the same keys in another order do not deadlock', async (t) => {
  const keys = Array.from({ length: 50 }, (_, number) => `key ${number}`)
  const rounds = Array.from({ length: 20 }, (_, round) => round)
  await Promise.all(
    rounds.flatMap((round) => [
      store.write(keys.map((key) => ({ key, value: String(round) }))),
      store.write(keys.toReversed().map((key) => ({ key, value: String(round) }))),
      store.remove(keys.toReversed()),
    ]),
  )
  t.pass('all went through')
  await query('truncate cache_entries')
  const base: Base = { kind: 'unseen', mark: undefined }
  const settling = keys.map((key) => kept(key, 'kept', base))
  for (const round of rounds) {
    await Promise.all([settle(settling), settle(settling.toReversed())])
    await query('truncate cache_entries')
    if (round === rounds.length - 1) t.pass('pending writes too')
  }
})

t.test('one bad value among many fails alone', async (t) => {
  await query("alter table cache_entries add constraint no_evil check (value <> 'evil')")
  t.teardown(() => query('alter table cache_entries drop constraint no_evil'))
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const keys = Array.from({ length: 40 }, (_, number) => `key ${number}`)
  const value = (key: string) => (key === 'key 7' || key === 'key 31' ? 'evil' : 'good')
  const answers = await Promise.all(keys.map((key) => client.set(key, value(key))))
  for (const [index, { status, body }] of answers.entries()) {
    if (value(keys[index] as string) === 'good') t.match(body, { ok: true, db_written: true })
    else t.match({ status, body }, { status: 422, body: { detail: String } })
  }
  t.equal(Object.keys(await values()).length, 38)
  t.equal(await client.value('key 7'), undefined)
  const rejected = await store.write([{ key: 'a', value: '"evil"' }]).catch((error: unknown) => error)
  t.equal(rejected instanceof CacheError && rejected.code, 'refused')
})

t.test('the position covers the latest write', async (t) => {
  const { epoch, latest } = await store.position()
  t.match(epoch, /^\d+-[0-9A-F]{8}$/)
  const written = await store.write([{ key: 'a', value: '1' }])
  t.ok(BigInt(written.get('a')?.version ?? 0) > latest)
  t.ok((await store.position()).latest >= BigInt(written.get('a')?.version ?? 0))
  t.equal((await store.position()).epoch, epoch)
})

function wanted(...keys: string[]) {
  return keys.map((key) => ({ key }))
}

function kept(key: string, text: string | undefined, base: Base, mayHaveHappened = false): PendingWrite {
  const value = text === undefined ? undefined : JSON.stringify(text)
  return { key, value, base, epoch: undefined, mayHaveHappened, outcomes: [] }
}

const held = (version: string | undefined, value?: string): Base => ({
  kind: 'held',
  version: version ?? '',
  value,
})

const marked = async (): Promise<Base> => ({ kind: 'unseen', mark: (await store.mark()).mark })

/** Marked once every transaction so far has ended, those of other tests on the same server too. */
async function unseen(): Promise<Base> {
  const { rows } = await query<{ id: string }>('select pg_current_xact_id()::text as id')
  await eventually(async () => {
    const { rows: ended } = await query<{ ended: boolean }>(
      'select pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8 as ended',
      [rows[0]?.id],
    )
    return ended[0]?.ended
  })
  return marked()
}

t.test('P9: pending writes are sent only where the row has not changed', async (t) => {
  await query(
    `insert into cache_entries (key, value)
     select key, 'before' from unnest($1::text[]) as key`,
    [
      [
        'held same',
        'held other',
        'held gone',
        'held, changed silently',
        'held same value',
        'unseen older',
        'older, may have happened',
        'delete same',
        'delete other',
        'delete gone',
        'delete older',
      ],
    ],
  )
  const { epoch } = await store.position()
  const before = (await store.versions(Object.keys(await values()), epoch)) ?? new Map()
  const older = await unseen()
  await query("update cache_entries set value = 'by SQL' where key in ('held other', 'delete other')")
  await query("delete from cache_entries where key in ('held gone', 'delete gone')")
  await silently("update cache_entries set value = 'by SQL' where key = 'held, changed silently'")
  await query(
    "insert into cache_entries (key, value) values ('unseen newer', 'by SQL'), ('delete newer', 'by SQL')",
  )

  const settled = await settle([
    kept('held same', 'kept', held(before.get('held same'))),
    kept('held other', 'kept', held(before.get('held other'))),
    kept('held, changed silently', 'kept', held(before.get('held, changed silently'), '"before"')),
    kept('held same value', 'kept', held(before.get('held same value'), '"before"')),
    kept('held gone', 'kept', held(before.get('held gone'))),
    kept('unseen older', 'kept', older),
    kept('unseen newer', 'kept', older),
    kept('unseen absent', 'kept', older),
    kept('never in contact', 'kept', { kind: 'unseen', mark: undefined }),
    kept('absent, may have happened', 'kept', older, true),
    kept('older, may have happened', 'kept', older, true),
    kept('delete absent, may have happened', undefined, older, true),
    kept('delete same', undefined, held(before.get('delete same'))),
    kept('delete other', undefined, held(before.get('delete other'))),
    kept('delete gone', undefined, held(before.get('delete gone'))),
    kept('delete older', undefined, older),
    kept('delete newer', undefined, older),
    kept('delete absent', undefined, older),
  ])
  t.strictSame(await values(), {
    'delete newer': 'by SQL',
    'delete other': 'by SQL',
    'held other': 'by SQL',
    'held same': 'kept',
    'held same value': 'kept',
    'held, changed silently': 'by SQL',
    'older, may have happened': 'kept',
    'never in contact': 'kept',
    'unseen absent': 'kept',
    'unseen newer': 'by SQL',
    'unseen older': 'kept',
  })
  const written = async (key: string) => {
    const version = await versionOf(key)
    return [key, { kind: 'written', written: version && { version, epoch } }] as const
  }
  const wanted = new Map(
    await Promise.all(
      [
        'held same',
        'held same value',
        'unseen older',
        'unseen absent',
        'never in contact',
        'older, may have happened',
        'delete absent, may have happened',
        'delete same',
        'delete gone',
        'delete older',
        'delete absent',
      ].map(written),
    ),
  )
  t.strictSame(new Map([...settled].filter(([, { kind }]) => kind === 'written')), wanted)
  for (const key of ['held same', 'unseen older']) t.not(await versionOf(key), before.get(key))
})

t.test('P9: a version without its value counts only while the table is as it was', async (t) => {
  await query("insert into cache_entries (key, value) values ('k', 'before'), ('unseen', 'before')")
  const version = await versionOf('k')
  const fingerprint = await fingerprintNow(query)
  const changes: Readonly<Record<string, () => Promise<unknown>>> = {
    'the triggers were off meanwhile': () => silently("update cache_entries set value = 'by SQL'"),
    'the table was rewritten': () =>
      query("alter table cache_entries alter column value type text using value || ' rewritten'"),
  }
  for (const [what, change] of Object.entries(changes)) {
    await change()
    const before = await values()
    for (const seen of [fingerprint, undefined]) {
      const base: Base = { kind: 'held', version: version ?? '', value: undefined, fingerprint: seen }
      t.same([...(await settle([kept('k', 'kept', base)]))], [], what)
    }
    t.same(await values(), before, what)
  }
  t.equal((await settle([kept('k', 'kept', held(version))])).size, 1)
})

t.test('P9: a string stays a string and JSON stays JSON', async (t) => {
  const base: Base = { kind: 'unseen', mark: undefined }
  await settle([
    { ...kept('text', undefined, base), value: '"42"' },
    { ...kept('json', undefined, base), value: '42' },
  ])
  const read = await entriesOf(wanted('text', 'json'))
  t.strictSame([read.get('text')?.value, read.get('json')?.value], ['"42"', '42'])
  const older = await unseen()
  await settle([
    { ...kept('text', undefined, older), value: '43' },
    { ...kept('json', undefined, older), value: '"43"' },
  ])
  const again = await entriesOf(wanted('text', 'json'))
  t.strictSame([again.get('text')?.value, again.get('json')?.value], ['43', '"43"'])
})

t.test('P9: the first row ever is newer than a mark before it', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const database = new Database({ url, poolSize: 1, timeoutMs: 10_000, log })
  t.teardown(() => database.close())
  const store = storeOf(database)
  const { mark } = await store.mark()
  await query("insert into cache_entries (key, value) values ('k', 'by SQL')")
  t.equal((await settle([kept('k', 'kept', { kind: 'unseen', mark })])).size, 0)
})

t.test('P9: in another history nothing is written or deleted', async (t) => {
  const { k } = Object.fromEntries(await store.write([{ key: 'k', value: '"before"' }]))
  await query("insert into cache_entries (key, value) values ('old', 'before'), ('present', 'before')")
  await silently("update cache_entries set version = 7 where key = 'old'")
  const older = await unseen()
  const { epoch } = await store.position()
  const writes = [
    kept('k', 'kept', held(k?.version)),
    // A row from before versions had random bits.
    { ...kept('old', 'kept', held('7')), epoch },
    kept('absent', 'kept', older),
    kept('present', 'kept', older),
  ]
  await query('update cache_marks set mark = mark + 1')
  await silently("update cache_entries set version = version + 1 where key = 'k'")
  const elsewhere = writes.map((write) => ({ ...write, epoch: `${epoch.slice(0, -8)}FFFFFFFF` }))
  t.equal((await settle(elsewhere)).size, 0)
  t.strictSame(await values(), { k: 'before', old: 'before', present: 'before' })
  await query('update cache_marks set mark = mark - 1')
  await silently("update cache_entries set version = version - 1 where key = 'k'")
  t.equal((await settle(writes)).size, 4, 'while in this one')
})

t.test('a value that plain SQL has stored in another form than a sidecar is not compared', async (t) => {
  await query(
    `insert into cache_entries (key, value, content_type)
     values ('string', '"text"', 'application/json'), ('broken', '{', 'application/json'), ('usual', 'text', null)`,
  )
  const entries = await entriesOf(wanted('string', 'broken', 'usual'))
  t.same([...entries].map(([key, { value, isComparable }]) => [key, value, isComparable]).sort(), [
    ['broken', '"{"', false],
    ['string', '"text"', false],
    ['usual', '"text"', true],
  ])
})

t.test('the schema is found by the search path that the session began with', async (t) => {
  const single = new Database({ url, poolSize: 1, timeoutMs: 10_000, log })
  t.teardown(() => single.close())
  await single.read('create schema if not exists tenant')
  await single.read('create table tenant.cache_entries ()')
  t.teardown(() => query('drop schema tenant cascade'))
  await single.read("select set_config('search_path', 'tenant', false)")
  t.equal(await new SchemaName(single).get(), 'public')
  t.same(await single.read("select current_setting('search_path') as path"), [{ path: 'tenant' }])
})

t.test('P9: a row stamped before the mark and committed after it counts as changed after it', async (t) => {
  await query("insert into cache_entries (key, value) values ('k', 'before'), ('other', 'before')")
  const writer = await another(t)
  await writer.query(`begin; update cache_entries set value = 'slow' where key = 'k'`)
  const nested = await another(t)
  await nested.query('begin; select pg_current_xact_id(); savepoint one')
  await nested.query(`update cache_entries set value = 'nested' where key = 'other'`)
  await query('select pg_current_xact_id()') // a later one that has ended
  const older = await marked()
  await writer.query('commit')
  await nested.query('commit')
  t.equal((await settle([kept('k', 'kept', older), kept('other', 'kept', older)])).size, 0)
  t.strictSame(await values(), { k: 'slow', other: 'nested' })
})

t.test('P9: a row that is changed while the statement waits for another row', async (t) => {
  await query("insert into cache_entries (key, value) values ('a', 'before'), ('b', 'before')")
  const nothing = await unseen()
  const holder = await another(t)
  await holder.query("begin; select from cache_entries where key = 'a' for update")
  // Its snapshot is taken, and it waits for the first row.
  const settling = settle(['a', 'b'].map((key) => kept(key, 'kept', nothing)))
  await somebodyWaits()
  // In a transaction that begins after that snapshot.
  await query("update cache_entries set value = 'after' where key = 'b'")
  await holder.query('rollback')
  t.same([...(await settling).keys()], ['a'])
  t.same(await values(), { a: 'kept', b: 'after' })
})

t.test('a mark is reused for a while and stays known', async (t) => {
  const first = await store.mark()
  t.same(await store.mark(), first, 'nothing was written since: it is reused')
  t.match(await store.position(first.mark), { hasMark: true, latest: first.latest })
  t.match(await store.position('1'), { hasMark: false })
  t.match(await store.position(), { hasMark: true })
  await store.write([{ key: 'k', value: '1' }])
  t.same(await store.mark(), first, 'another was left a moment ago')
  await query("update cache_marks set written_at = written_at - interval '5.1 seconds'")
  const [second, ...others] = await Promise.all([store.mark(), store.mark(), store.mark()])
  t.not(second?.mark, first.mark)
  t.ok((second?.latest ?? 0n) > first.latest)
  t.ok(others.length === 2)
  t.match(await store.position(first.mark), { hasMark: true }, 'the earlier one stays')
})

t.test(
  'P9: the mark of another table, or of another cluster that a dump comes from, proves nothing here',
  async (t) => {
    await query("insert into cache_entries (key, value) values ('present', 'before')")
    const older = await unseen()
    const { mark } = await store.mark()
    t.match(await store.position(mark), { hasMark: true })
    await query("update cache_marks set lineage = 'another'")
    t.match(await store.position(mark), { hasMark: false })
    t.equal((await settle([kept('present', 'kept', older), kept('absent', 'kept', older)])).size, 0)
    t.strictSame(await values(), { present: 'before' })
    t.not((await store.mark()).mark, mark, 'nor will it do for others')
  },
)

t.test('P9: a pending write expires as any other that the table lets expire', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const database = new Database({ url, poolSize: 1, timeoutMs: 10_000, log })
  t.teardown(() => database.close())
  const store = storeOf(database)
  await query("insert into cache_entries (key, value) values ('present', 'before')")
  const version = (await store.versions(['present'], (await store.position()).epoch))?.get('present')
  await query("alter table cache_entries alter column expires_at set default now() + interval '1 hour'")
  const base = { ...held(version), fingerprint: await fingerprintNow(query) }
  await store.settle(
    [kept('present', 'kept', base), kept('absent', 'kept', { kind: 'unseen', mark: undefined })],
    () => undefined,
  )
  const { rows } = await query('select key from cache_entries where expires_at > now() order by key')
  t.same(rows, [{ key: 'absent' }, { key: 'present' }])
})

t.test('old marks are removed', async (t) => {
  const { mark } = await store.mark()
  await query(
    `insert into cache_marks (mark, oldest_xid, latest, lineage, written_at)
     select n, 0, 0, cache_lineage('cache_entries'), now() - interval '1 hour' from generate_series(1, 10000) as n`,
  )
  await store.write([{ key: 'k', value: '1' }])
  await store.mark()
  t.match(await store.position(mark), { hasMark: false })
  t.match(await store.position('1'), { hasMark: true }, 'ten thousand stay')
})

t.test('P9: a row that is changed, inserted or deleted at the same moment', async (t) => {
  const { epoch } = await store.position()
  const nothing = await unseen()
  await store.write([
    { key: 'changing', value: '"before"' },
    { key: 'going', value: '"before"' },
    { key: 'dropping', value: '"before"' },
  ])
  const before = (await store.versions(['changing', 'going', 'dropping'], epoch)) ?? new Map()
  const holder = await another(t)
  await holder.query(
    `begin;
     update cache_entries set value = 'by SQL' where key = 'changing';
     delete from cache_entries where key = 'going';
     update cache_entries set value = 'by SQL' where key = 'dropping';
     insert into cache_entries (key, value) values ('coming', 'by SQL')`,
  )
  const settling = settle([
    kept('changing', 'kept', held(before.get('changing'))),
    kept('going', 'kept', held(before.get('going'))),
    kept('dropping', undefined, held(before.get('dropping'))),
    kept('coming', 'kept', nothing),
    kept('quiet', 'kept', nothing),
  ])
  await somebodyWaits()
  await holder.query('commit')
  const settled = await settling
  t.strictSame(await values(), { changing: 'by SQL', coming: 'by SQL', dropping: 'by SQL', quiet: 'kept' })
  t.strictSame(
    [...settled].filter(([, { kind }]) => kind === 'written').map(([key]) => key),
    ['quiet'],
  )
})

t.test(
  'a value larger than one statement may bring is not transferred, nor are too many together',
  async (t) => {
    const small = storeOf(database, 1_000)
    await query(`insert into cache_entries (key, value) values
    ('fits', repeat('x', 1000)), ('large', repeat('x', 1001)), ('wide', repeat('é', 501)), ('half', repeat('x', 500))`)
    const told = async (keys: readonly string[]) => {
      const answers = await small.read(wanted(...keys))
      return keys.map((key) => {
        const answer = answers.get(key)
        if (answer && 'withheld' in answer) return answer.withheld
        return answer?.version === undefined ? 'absent' : JSON.parse(answer.value as string).length
      })
    }
    for (const [key, answer] of Object.entries({
      fits: 1_000,
      large: 'too-large',
      wide: 'too-large',
      none: 'absent',
    }))
      t.same(await told([key]), [answer], key)
    t.same(await told(['large', 'half', 'wide', 'none']), ['too-large', 500, 'too-large', 'absent'])
    const both = await told(['fits', 'half'])
    t.same(both.filter((answer) => answer === 'postponed').length, 1)
    const version = await versionOf('large')
    const { epoch } = await store.position()
    t.match((await small.read(wanted('large'))).get('large'), { key: 'large', version, epoch })

    const held: Held = {
      value: JSON.stringify('x'.repeat(1_000)),
      version: (await versionOf('fits')) as string,
      epoch,
    }
    const answers = await small.read([{ key: 'fits', held }, { key: 'half' }, { key: 'large', held }])
    t.notOk('withheld' in (answers.get('fits') as Unchanged), 'a value that is held takes no room')
    t.match(answers.get('half'), { value: JSON.stringify('x'.repeat(500)) })
    t.match(answers.get('large'), { withheld: 'too-large' })
  },
)

t.test('many keys are read at once by one statement, whatever the size of their values', async (t) => {
  const small = storeOf(database, 1_000)
  await query(`insert into cache_entries (key, value) values
    ('large', repeat('x', 1001)), ('a', repeat('x', 900)), ('b', repeat('x', 90)), ('c', repeat('x', 20))`)
  const keys = ['none', 'large', 'a', 'b', 'c']
  const statements: string[] = []
  const read = database.read.bind(database)
  t.intercept(database, 'read', {
    value: (text: string, ...others: never[]) => {
      if (text.includes('octet_length')) statements.push(text)
      return read(text, ...others)
    },
  })
  const answers = await small.readAtOnce(wanted(...keys))
  t.equal(statements.length, 1)
  t.match(answers.get('none'), { version: undefined })
  t.match(answers.get('large'), { withheld: 'too-large' })
  const told = ['a', 'b', 'c'].map((key) => answers.get(key))
  t.ok(told.some((answer) => answer && 'withheld' in answer && answer.withheld === 'postponed'))
  t.ok(told.some((answer) => answer && 'value' in answer && answer.value !== undefined))

  const { epoch } = await store.position()
  const held: Held = {
    value: JSON.stringify('x'.repeat(900)),
    version: (await versionOf('a')) as string,
    epoch,
  }
  statements.length = 0
  const confirmed = await small.readAtOnce([{ key: 'a', held }, ...wanted('b', 'c')])
  t.equal(statements.length, 1)
  t.match(confirmed.get('a'), { version: held.version, value: undefined })
  t.notOk('withheld' in (confirmed.get('a') as Unchanged))
  for (const key of ['b', 'c']) t.type((confirmed.get(key) as StoredEntry).value, 'string')
})

t.test('a content type of any length is not transferred', async (t) => {
  await silently(
    "insert into cache_entries (key, value, content_type) values ('k', 'v', repeat('x', 2000000))",
  )
  t.match((await entriesOf(wanted('k'))).get('k'), { value: '"v"' })
})

t.test('a row of 90 MB is refused by a sidecar, and can be replaced', async (t) => {
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  await query("insert into cache_entries (key, value) values ('huge', repeat('x', 90000000))")
  const refused = await client.get('huge')
  t.match(refused, {
    status: 413,
    body: { status: 413, detail: /is too large for the memory of a sidecar/ },
  })
  t.match(await client.set('huge', 1), { status: 200 })
  t.match(await client.get('huge'), { status: 200, body: { value: 1 } })
})
