import pg from 'pg'
import t from 'tap'
import { cureOfRefusal, type ForeignTrigger, foreignTriggers } from '../../../src/tools/doctor/refusal.js'

/** The answers of the database about the table, by a part of the statement that asks. */
type Told = Readonly<Record<string, readonly object[]>>

function clientOf(told: Told) {
  const asked: unknown[][] = []
  const query = async (text: string, values: unknown[] = []) => {
    if (values.length > 0) asked.push(values)
    return { rows: Object.entries(told).find(([part]) => text.includes(part))?.[1] ?? [] }
  }
  return { client: { query } as unknown as pg.Client, asked }
}

const others: readonly ForeignTrigger[] = [
  { name: 'audit', function: 'note_change', owner: 'a' },
  { name: 'check "me"', function: 'refuse_all', owner: 'b' },
]

/** Returns the cure for an error of the server, and the names that were asked for. */
async function cured(
  code: string,
  { told = {}, triggers = others, ...more }: Partial<pg.DatabaseError> & CureInput = {},
) {
  const error = Object.assign(new pg.DatabaseError(more.message ?? 'm', 0, 'error'), { code, ...more })
  const { client, asked } = clientOf(told)
  const cure = await cureOfRefusal(client, { error, schema: 'the cache', others: triggers })
  return { cure, asked }
}

interface CureInput {
  readonly told?: Told
  readonly triggers?: readonly ForeignTrigger[]
}

const curedBy = async (...given: Parameters<typeof cured>) => (await cured(...given)).cure
const asOwner = (sql: string) => `run as the owner of the table: ${sql}`
const entries = '"the cache".cache_entries'
const names = (...all: readonly string[]) => all.map((name) => ({ name }))

t.test('row-level security is cured by a policy, or by ending what no policy makes up for', async (t) => {
  const me = { 'current_user::text as role': [{ role: 'app', setting: 'on' }] }
  for (const file of ['execMain.c', 'rls.c'])
    t.equal(
      await curedBy('42501', { file, told: me }),
      asOwner(`create policy caching_layer on ${entries} to "app" using (true) with check (true)`),
      file,
    )
  const { cure, asked } = await cured('42501', {
    file: 'execMain.c',
    message: 'new row violates row-level security policy for table "cache_marks"',
    told: { ...me, 'from pg_policy': names('strict', 'st"rict') },
  })
  const marks = '"the cache".cache_marks'
  t.equal(cure, asOwner(`drop policy "strict" on ${marks}; drop policy "st""rict" on ${marks}`))
  t.strictSame(asked, [[marks]])
  t.equal(
    await curedBy('42501', {
      file: 'rls.c',
      told: { 'current_user::text as role': [{ role: 'app', setting: 'off' }] },
    }),
    'reset row_security',
  )
  t.match(
    await curedBy('42501', { file: 'aclchk.c', told: me, triggers: [] }),
    /least-privilege\.sql/,
    'a missing right is something else',
  )
})

t.test('a column or a constraint that refuses a row is changed', async (t) => {
  t.equal(
    await curedBy('23502', { column: 'tenant', file: 'execMain.c' }),
    asOwner(`alter table ${entries} alter column "tenant" drop not null`),
  )
  t.match(await curedBy('23502'), /drop trigger/, 'a trigger may say the same')
  t.equal(
    await curedBy('22001', { told: { 'from pg_attribute': names('key', 'value') } }),
    asOwner(
      `alter table ${entries} alter column "key" type text; alter table ${entries} alter column "value" type text`,
    ),
  )
  t.match(await curedBy('22001'), /drop trigger/, 'a trigger may say the same')
  t.equal(
    await curedBy('23503', { constraint: 'listed', message: 'on table "cache_leases"' }),
    asOwner('alter table "the cache".cache_leases drop constraint "listed"'),
  )
  t.equal(
    await curedBy('2200H'),
    asOwner('alter sequence "the cache".cache_version maxvalue 549755813887 cycle'),
  )
})

t.test('marks that lack a column are made again', async (t) => {
  const told = { 'as lacks': [{ lacks: true }] }
  const { cure, asked } = await cured('42703', { told })
  t.equal(cure, `${asOwner('drop table "the cache".cache_marks')}; then run "caching-layer migrate"`)
  const [table, columns] = asked[0] as [string, readonly string[]]
  t.equal(table, '"the cache".cache_marks')
  t.ok(columns.includes('lineage'))
  t.match(await curedBy('42703', { told: { 'as lacks': [{ lacks: false }] } }), /drop trigger/)
  t.match(await curedBy('42P01', { told, triggers: [] }), /migrate" as the owner$/)
})

t.test('a session that holds a lock is named', async (t) => {
  const held = (...rows: readonly object[]) => curedBy('55P03', { told: { 'from pg_locks': rows } })
  const one = { pid: 7, role: 'app', application: 'psql' }
  t.equal(
    await held(one, { pid: 8, role: 'other', application: '' }),
    `"app" (psql), "other" (no application_name) holds a lock on ${entries}: wait until that has ended, ` +
      'or run as a superuser: select pg_terminate_backend(7); select pg_terminate_backend(8)',
  )
  t.equal(await held(), 'check again: the lock is gone')
})

t.test('a rule, or else a trigger that is not ours, is dropped', async (t) => {
  const rules = { told: { 'from pg_rewrite': names('a', 'b') } }
  t.equal(await curedBy('P0001', rules), asOwner(`drop rule "a" on ${entries}; drop rule "b" on ${entries}`))
  const both = asOwner(`drop trigger "audit" on ${entries}; drop trigger "check ""me""" on ${entries}`)
  t.equal(await curedBy('P0001'), both)
  t.equal(
    await curedBy('P0001', { where: 'PL/pgSQL function refuse_all() line 1 at RAISE' }),
    asOwner(`drop trigger "check ""me""" on ${entries}`),
    'if the error tells which one it was, only that one',
  )
  t.equal(await curedBy('P0001', { triggers: [] }), "check DATABASE_URL, and look at the server's log")
  const { client } = clientOf({})
  t.equal(
    await cureOfRefusal(client, { error: new Error('the row is missing'), schema: 'the cache', others }),
    both,
  )
})

t.test('the triggers of others are looked for on the table', async (t) => {
  const { client, asked } = clientOf({ 'from pg_trigger': others })
  t.strictSame(await foreignTriggers(client, 'the cache'), others)
  t.strictSame(asked, [[entries]])
})
