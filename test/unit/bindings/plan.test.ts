import t from 'tap'
import type {
  BindingDefinition,
  QueryDefinition,
  TableDefinition,
} from '../../../src/postgres/bindings/binding-definition.js'
import type { DefinedBinding } from '../../../src/postgres/bindings/defined-bindings.js'
import { columnsText, planOf } from '../../../src/tools/bindings/plan.js'

const product: TableDefinition = { key: 'product:{id}', table: 'public.products', announce: 'outbox' }
const page: QueryDefinition = {
  key: 'page:{id}',
  query: 'select $1',
  depends: { 'public.a': '{id}', 'public.b': ['{id}', 'select 1'] },
  many: false,
  namesIn: 'public',
}
const bound = { ...product, tableId: 7, fault: undefined }
const boundPage = { ...page, fault: undefined }
const fault = { says: 'it is gone', cure: 'bring it back', shown: 'unusable' }

function planFor(
  wanted: readonly (BindingDefinition & { readonly line?: number })[],
  defined: readonly DefinedBinding[],
  { tableId = 7, prune = false } = {},
) {
  const tables = new Map([[product.table, tableId]])
  return planOf({ schema: 'public', wanted, defined, tables, prune })
}

/** Returns what one binding of a file would change; undefined for nothing. */
function changeOf(wanted: BindingDefinition, defined: DefinedBinding, tableId = 7): string | undefined {
  const { steps } = planFor([wanted], [defined], { tableId })
  t.ok(steps.every(({ kind }) => kind === 'changed'))
  return steps[0]?.says
}

t.test('a binding that only the file has is added, with everything that it declares', async (t) => {
  const { steps } = planFor([{ ...product, line: 3 }], [])
  t.match(steps, [
    {
      kind: 'added',
      key: product.key,
      table: product.table,
      line: 3,
      statement: /^select public\.cache_bind\('public\.products', key => 'product:\{id\}'\)$/,
    },
  ])
  const says = (binding: BindingDefinition) => planFor([binding], []).steps[0]?.says
  t.equal(
    says({ ...product, columns: ['id', 'name'], group: 'g', announce: 'notify' }),
    '+ product:{id}: public.products, columns id, name, group g, announced by notify',
  )
  t.equal(says(product), '+ product:{id}: public.products')
  t.equal(says(page), '+ page:{id}: a query')
  t.equal(
    says({ ...page, many: true, ttlSeconds: 60, group: 'g' }),
    '+ page:{id}: a query, many rows, held for 60 seconds, group g',
  )
  t.equal(planFor([page], []).steps[0]?.table, undefined)
})

t.test('a binding that both have alike is left alone', async (t) => {
  const plan = planFor([product, page], [bound, boundPage])
  t.strictSame(plan, { steps: [], kept: [], faulty: [] })
  const depends = { 'public.b': ['{id}', 'select 1'], 'public.a': ['{id}'] }
  t.equal(changeOf({ ...page, query: ' select $1\n', depends }, boundPage), undefined, 'in other words')
})

t.test('a table binding that differs is changed, and all differences are named', async (t) => {
  const says = (change: string) => `~ product:{id}: ${change}`
  t.equal(
    changeOf({ ...product, columns: ['id'] }, { ...bound, columns: ['id', 'name'] }),
    says('columns id, which were id, name'),
  )
  t.equal(changeOf({ ...product, announce: 'notify' }, bound), says('announced by notify, which was outbox'))
  t.equal(changeOf({ ...product, group: 'g' }, bound), says('group g, which was none'))
  t.equal(changeOf(product, { ...bound, group: 'g' }), says('group none, which was g'))
  t.equal(
    changeOf(product, { ...bound, table: 'public.former' }, 8),
    says('table public.products, which was public.former'),
  )
  t.equal(changeOf(product, { ...bound, table: 'public.former' }), undefined, 'a table that was renamed')
  t.equal(
    changeOf({ ...product, columns: ['id'], group: 'g' }, bound),
    says('columns id, which were all; group g, which was none'),
  )
  t.equal(columnsText({}), 'all')
})

t.test('a query binding that differs is changed, and all differences are named', async (t) => {
  const says = (change: string) => `~ page:{id}: ${change}`
  t.equal(changeOf({ ...page, query: 'select 2' }, boundPage), says('another query'))
  t.equal(changeOf({ ...page, depends: { 'public.a': '{id}' } }, boundPage), says('other dependencies'))
  t.equal(changeOf({ ...page, many: true }, boundPage), says('many rows, which were one row'))
  t.equal(changeOf(page, { ...boundPage, many: true }), says('one row, which were many rows'))
  t.equal(changeOf({ ...page, ttlSeconds: 5 }, boundPage), says('ttl 5 seconds, which was none'))
  t.equal(changeOf(page, { ...boundPage, ttlSeconds: 5 }), says('ttl none, which was 5 seconds'))
  t.equal(changeOf({ ...page, namesIn: 'shop' }, boundPage), says('names in shop, which were in public'))
})

t.test('a key may be bound to a query instead of a table, and the other way round', async (t) => {
  const [key, { key: other }] = [product.key, page]
  t.equal(changeOf({ ...page, key }, bound), '~ product:{id}: a query, which was public.products')
  t.equal(changeOf({ ...product, key: other }, boundPage), '~ page:{id}: public.products, which was a query')
})

t.test(
  'a fault is a difference if binding again removes it, and else is named beside the plan',
  async (t) => {
    const cured = { ...bound, fault: { ...fault, isCuredByBinding: true } } as const
    t.equal(changeOf(product, cured, 8), '~ product:{id}: it is gone', 'the table is not named as well')
    t.strictSame(planFor([product], [cured]).faulty, [])
    const lasting = { ...bound, fault }
    t.strictSame(planFor([product], [lasting]), { steps: [], kept: [], faulty: [lasting] })
    t.strictSame(planFor([], [lasting]), { steps: [], kept: [lasting], faulty: [] })
    t.equal(changeOf(product, { ...bound, ownerFault: 'a stranger' }), '~ product:{id}: a stranger')
    t.match(changeOf(product, { ...bound, isRestored: true }), /^~ product:\{id\}: the database was restored/)
  },
)

t.test('what only the database has stays, or is removed first', async (t) => {
  const kept = planFor([product], [boundPage])
  t.strictSame([kept.steps.map(({ kind }) => kind), kept.kept], [['added'], [boundPage]])
  const pruned = planFor([page], [bound], { prune: true })
  t.match(pruned.steps, [
    {
      kind: 'removed',
      key: product.key,
      table: product.table,
      statement: "select public.cache_unbind('product:{id}')",
      says: '- product:{id}: public.products',
    },
    { kind: 'added', key: page.key },
  ])
  t.strictSame(pruned.kept, [])
})
