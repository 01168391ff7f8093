import type pg from 'pg'
import t from 'tap'
import { lookAtRights } from '../../../src/tools/doctor/rights.js'

interface Missing {
  /** Numbers of the rights that are asked for, each with the columns that it lacks; `[null]` for the whole relation. */
  readonly rights?: ReadonlyMap<number, readonly (string | null)[]>
  readonly functions?: readonly string[]
}

/** Looks at a database in which the role `app` lacks these rights. Returns what was asked for as well. */
async function look({ rights = new Map(), functions = [] }: Missing = {}) {
  const asked: { index: number; relation: string; privilege: string; column: string | null }[] = []
  const query = async (text: string, values: readonly unknown[][] = []) => {
    if (text.includes('to_regclass')) return { rows: [{ entries: 1, schema: 'public' }] }
    if (text.includes('pg_class.oid = $1')) return { rows: [{ name: 'public' }] }
    if (text.includes('relname as name'))
      return { rows: [{ name: 'cache_entries', kind: 'r', owner: 'own' }] }
    if (text.includes('from unnest')) {
      const [indexes = [], relations = [], privileges = [], columns = []] = values
      for (const [at, index] of indexes.entries())
        asked.push({
          index: index as number,
          relation: relations[at] as string,
          privilege: privileges[at] as string,
          column: columns[at] as string | null,
        })
      const rows = [...rights].flatMap(([index, lost]) =>
        lost.map((column: string | null) => ({ index, column })),
      )
      return { rows }
    }
    if (text.includes('from pg_proc'))
      return { rows: functions.map((name) => ({ name, signature: `${name}(text)` })) }
    return { rows: [{ role: 'app' }] }
  }
  const { finding, missing } = await lookAtRights({ query } as unknown as pg.Client)
  return { asked, finding, missing }
}

const { asked } = await look()
const rightsBy = new Map(
  asked.map(({ index }) => [index, asked.filter((one) => one.index === index)] as const),
)

t.test('a role with all rights may do what a sidecar does', async (t) => {
  const { finding, missing } = await look()
  t.match(finding, { level: 'ok', says: '"app" may do what a sidecar does' })
  t.equal(missing.size, 0)
})

t.test('each missing right has its consequence, and only some are a fault', async (t) => {
  const levels = new Map<string, string[]>([
    ['bad', []],
    ['warning', []],
  ])
  for (const [index, columns] of rightsBy) {
    const { finding, missing } = await look({
      rights: new Map([[index, columns.map(({ column }) => column)]]),
    })
    const [right = ''] = missing
    levels.get(finding.level)?.push(`${right}: ${finding.says.split(': ').slice(1).join(': ')}`)
    const { privilege, relation } = columns[0] ?? {}
    t.equal(right, `${privilege} ${relation}`)
  }
  t.strictSame(levels.get('bad'), [
    'select cache_entries: no entry can be read',
    'insert cache_entries: no entry can be set',
    'select cache_version: the feed cannot tell where the database stands',
    'usage cache_version: no entry can be set',
    'update cache_entries: no entry can be set, because a set updates the row that may be there, and none can be deleted',
    'select cache_bound_tables: the feed cannot tell which keys are bound to tables',
    'select cache_bound_queries: the feed cannot tell which keys are bound to queries',
    'select cache_dependencies: the feed cannot tell which keys are bound to queries',
  ])
  t.equal(levels.get('warning')?.length, rightsBy.size - 8)
  t.ok(levels.get('warning')?.every((line) => /: \w/.test(line)))
})

t.test('a right is granted on the columns that lack it, and on the whole if all do', async (t) => {
  const [first] = rightsBy.values()
  const columns = first?.map(({ column }) => column) ?? []
  t.ok(columns.length > 1)
  const whole = await look({ rights: new Map([[0, columns]]) })
  t.equal(whole.finding.cure, 'run as the owner, "own": grant select on "public".cache_entries to "app"')
  t.match(whole.finding.says, /^role "app" has no right to select on cache_entries: no entry/)
  for (const index of [0, 1, 4])
    t.notOk(
      rightsBy.get(index)?.some(({ column }) => column === null),
      'by column',
    )
  const part = await look({ rights: new Map([[0, ['value']]]) })
  t.equal(
    part.finding.cure,
    'run as the owner, "own": grant select (value) on "public".cache_entries to "app"',
  )
  t.match(part.finding.says, /^role "app" has no right to select on value of cache_entries: /)
  const only = [...rightsBy].find(([, [one]]) => one?.column === 'invalidations')?.[0] ?? -1
  const { finding } = await look({ rights: new Map([[only, ['invalidations']]]) })
  t.equal(
    finding.cure,
    'if that is not intended, run as the owner, "own": ' +
      'grant update (invalidations) on "public".cache_bound_tables to "app"',
    'never on the whole table',
  )
})

t.test('functions that the role may not call are named with the consequences', async (t) => {
  const levelOf = async (...functions: readonly string[]) => (await look({ functions })).finding.level
  for (const name of [
    'system_identifier',
    'database_oid',
    'knows_timeline',
    'history',
    'epoch_of',
    'lineage',
  ])
    t.equal(await levelOf(`cache_${name}`), 'bad', name)
  for (const name of ['uses', 'forbidden_uses']) t.equal(await levelOf(`cache_${name}`), 'bad', name)
  for (const name of ['dependents', 'remove', 'invalidate_bound', 'announce_revoked', 'map_0123456789ab_1'])
    t.equal(await levelOf(`cache_${name}`), 'warning', name)
  const { finding } = await look({ functions: ['cache_remove', 'cache_announce_revoked'] })
  t.match(finding, {
    says:
      'role "app" has no right to execute on cache_remove(text), execute on cache_announce_revoked(text): ' +
      'entries cannot be removed by key, group or prefix through /v1/invalidate',
    cure:
      'if that is not intended, run as the owner, "own": ' +
      'grant execute on function cache_remove(text), cache_announce_revoked(text) to "app"',
  })
})

t.test('a missing right that is a fault makes the whole finding one', async (t) => {
  const { finding } = await look({ rights: new Map([[0, ['value']]]), functions: ['cache_remove'] })
  t.equal(finding.level, 'bad')
  t.match(
    finding.cure,
    /grant select \(value\) on .* to "app"; grant execute on function cache_remove\(text\)/,
  )
})
