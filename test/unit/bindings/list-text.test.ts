import t from 'tap'
import { bindingLines, bindingsJson } from '../../../src/tools/bindings/list-text.js'

const usable = {
  key: 'product:{id}',
  table: 'public.products',
  tableId: 1,
  announce: 'outbox',
  fault: undefined,
} as const
const broken = {
  ...usable,
  key: 'order:{id}',
  table: 'public.orders',
  columns: ['id', 'total'],
  group: 'orders',
  announce: 'notify',
  fault: { says: 'the table public.orders was dropped', cure: 'unbind it', shown: 'its table was dropped' },
} as const

t.test('for scripts, every member is there, and null for none', async (t) => {
  t.match(bindingsJson([usable]), /^\[\n {2}\{\n {4}"key": "product/, 'which people can read as well')
  t.strictSame(JSON.parse(bindingsJson([usable, broken])), [
    {
      key: 'product:{id}',
      table: 'public.products',
      columns: null,
      group: null,
      announce: 'outbox',
      fault: null,
      cure: null,
    },
    {
      key: 'order:{id}',
      table: 'public.orders',
      columns: ['id', 'total'],
      group: 'orders',
      announce: 'notify',
      fault: 'the table public.orders was dropped',
      cure: 'unbind it',
    },
  ])
})

const page = {
  key: 'page:{id}',
  query: 'select $1',
  depends: { 'public.b': '{id}', 'public.a': '{id}' },
  many: true,
  namesIn: 'public',
  fault: undefined,
} as const

t.test('a query', async (t) => {
  t.match(bindingLines([page])[1], /^page:\{id\} +public\.a, public\.b +query, many +outbox +ok$/)
  t.match(bindingLines([{ ...page, many: false }])[1], / public\.b +query +outbox +ok$/)
  t.strictSame(JSON.parse(bindingsJson([page])), [
    {
      key: 'page:{id}',
      query: 'select $1',
      depends: { 'public.b': '{id}', 'public.a': '{id}' },
      many: true,
      ttl_seconds: null,
      group: null,
      names_in: 'public',
      fault: null,
      cure: null,
    },
  ])
})

t.test('for people, a table, and a line for each fault', async (t) => {
  const [head, first, second, fault, ...more] = bindingLines([usable, broken])
  t.match(head, /^KEY +TABLE +COLUMNS +GROUP +ANNOUNCE +STATE$/)
  t.match(first, /^product:\{id\} +public\.products .* outbox +ok$/)
  t.match(second, /^order:\{id\} +public\.orders +id, ?total +orders +notify +unusable$/)
  t.equal(fault, 'order:{id}: the table public.orders was dropped → unbind it')
  t.strictSame(more, [])
})
