import t from 'tap'
import { parseBindingsFile } from '../../../src/tools/bindings/bindings-file.js'

t.test('a file names bindings, each with its line', async (t) => {
  const text = `
# bindings of the shop
bindings:
  - table: public.products
    key: product:{id}
    columns: &names [id, name]
    group: products
  - table: '"Sales"."Order Items"'
    key: order:{tenant}:{id}
    columns: *names
    announce: notify
`
  const { bindings, faults } = parseBindingsFile(text)
  t.strictSame(faults, [])
  t.strictSame(bindings, [
    {
      table: 'public.products',
      key: 'product:{id}',
      columns: ['id', 'name'],
      group: 'products',
      announce: 'outbox',
      line: 4,
    },
    {
      table: '"Sales"."Order Items"',
      key: 'order:{tenant}:{id}',
      columns: ['id', 'name'],
      group: undefined,
      announce: 'notify',
      line: 8,
    },
  ])
})

t.test('a file names queries, each with its line', async (t) => {
  const text = `
queries:
  - key: film_page:{id}
    query: |
      select title
      from film where film_id = $1
    depends:
      public.film: '{film_id}'
      public.actor:
        - select film_id from film_actor where actor_id = {actor_id}
        - '{favourite}'
  - {key: 'b:{id}', query: select $1, depends: {}, many: true, ttl_seconds: 1.5, group: g, names_in: shop}
bindings:
  - {table: a.b, key: 'c:{id}'}
`
  const { bindings, faults } = parseBindingsFile(text)
  t.strictSame(faults, [])
  t.match(bindings, [
    { table: 'a.b', line: 14 },
    {
      key: 'film_page:{id}',
      query: 'select title\nfrom film where film_id = $1',
      depends: {
        'public.film': '{film_id}',
        'public.actor': ['select film_id from film_actor where actor_id = {actor_id}', '{favourite}'],
      },
      many: false,
      ttlSeconds: undefined,
      group: undefined,
      namesIn: undefined,
      line: 3,
    },
    { key: 'b:{id}', depends: {}, many: true, ttlSeconds: 1.5, group: 'g', namesIn: 'shop', line: 12 },
  ])
})

t.test('each fault of a query has its line and its cure', async (t) => {
  const query = 'queries:\n  - key: a:{id}\n    query: select $1\n    depends: {a: "{id}"}\n'
  const faulty: readonly (readonly [text: string, line: number, says: RegExp])[] = [
    ['queries:', 1, /^queries: expected a list; write "queries: \[\]" for none$/],
    ['queries: [1]', 1, /^expected a map with the members key, query and depends$/],
    ['queries:\n  - key: a:{id}\n    query: select $1', 2, /^the member depends is missing$/],
    [`${query}    ttl: 1`, 5, /^there is no member "ttl"; did you mean ttl_seconds\?$/],
    [`${query}    tll: 1`, 5, /^there is no member "tll"; did you mean ttl_seconds\?$/],
    [`${query}    foo: 1`, 5, /^there is no member "foo"; there are key, query, depends, /],
    [`${query}    ttl_seconds: 0`, 5, /^ttl_seconds: expected a number above zero, up to 1000000000$/],
    [`${query}    ttl_seconds: '60'`, 5, /^ttl_seconds: expected a number above zero/],
    [`${query}    ttl_seconds: 1000000001`, 5, /^ttl_seconds: expected a number above zero/],
    [`${query}    ttl_seconds: .inf`, 5, /^ttl_seconds: expected a number above zero/],
    [query.replace('{a: "{id}"}', '{? [a] : "{id}"}'), 4, /^depends: expected a map of tables/],
    [`${query}    ? [a]\n    : 1`, 5, /^there is no member ""; there are key, query, /],
    [`${query}    many: 1`, 5, /^many: expected true or false$/],
    [`${query}    names_in: 1`, 5, /^names_in: expected a text/],
    [query.replace('{a: "{id}"}', 'a'), 4, /^depends: expected a map of tables, each with columns in braces/],
    [query.replace('"{id}"', '1'), 4, /^depends: expected a map/],
    [query.replace('"{id}"', '{id}'), 4, /a list of these; write quotes around names in braces: '\{id\}'$/],
    [query.replace('"{id}"', '[{id}]'), 4, /write quotes around names in braces: '\{id\}'$/],
    [query.replace('"{id}"', '[1]'), 4, /^depends: expected a map .*, or a list of these$/],
    [query.replace('"{id}"', '[]'), 4, /^depends: expected a map .*, or a list of these$/],
    [
      `${query}bindings:\n  - {table: a.b, key: 'a:{id}'}`,
      2,
      /^the key a:\{id\} is bound in line 6 already$/,
    ],
  ]
  for (const [text, line, says] of faulty) t.match(parseBindingsFile(text).faults, [{ line, says }], text)
})

t.test('a query may be held for any time that SQL accepts', async (t) => {
  for (const ttlSeconds of [0.5, 1_000_000_000]) {
    const query = `{key: "a:{id}", query: q, depends: {a.b: ["{id}"]}, many: false, ttl_seconds: ${ttlSeconds}}`
    const { bindings, faults } = parseBindingsFile(`queries: [${query}]`)
    t.strictSame(faults, [])
    t.match(bindings, [{ depends: { 'a.b': ['{id}'] }, many: false, ttlSeconds }])
  }
})

t.test('a binding with a fault is left out', async (t) => {
  for (const text of [
    'queries: [{key: "a:{id}", query: q, depends: {}, many: 1}]',
    'bindings: [{key: "a:{id}", table: a.b, group: 1}]',
  ])
    t.match(parseBindingsFile(text), { bindings: { length: 0 }, faults: { length: 1 } }, text)
})

t.test('a file may be JSON, and may have no binding', async (t) => {
  const { bindings, faults } = parseBindingsFile('{"bindings": [\n{"table": "a.b", "key": "b:{id}"}]}')
  t.strictSame(faults, [])
  t.match(bindings, [{ table: 'a.b', key: 'b:{id}', line: 2 }])
  t.strictSame(parseBindingsFile('bindings: []'), { bindings: [], faults: [] })
})

t.test('each fault has its line and its cure', async (t) => {
  const binding = 'bindings:\n  - table: a.b\n    key: b:{id}\n'
  const faulty: readonly (readonly [text: string, line: number, says: RegExp])[] = [
    ['', 1, /^expected a map with the members bindings and queries$/],
    ['a: 1\n---\na: 1', 2, /^expected one YAML document; there is another one$/],
    ['- a', 1, /^expected a map with the members bindings and queries$/],
    ['{}', 1, /^the member bindings is missing; write "bindings: \[\]" for none$/],
    ['bindings:', 1, /^bindings: expected a list; write "bindings: \[\]" for none$/],
    ['\nbindigs: []', 2, /^there is no member "bindigs"; did you mean bindings\?$/],
    [`${binding}    colums: [id]`, 4, /^there is no member "colums"; did you mean columns\?$/],
    [
      `${binding}    frobnicate: 1`,
      4,
      /^there is no member "frobnicate"; there are table, key, columns, group, announce$/,
    ],
    [`${binding}    group: 1`, 4, /^group: expected a text; quote it/],
    [`${binding}    group: ''`, 4, /^group: expected a text; quote it/],
    [`${binding}    group:`, 4, /^group: expected a text; quote it/],
    [`${binding}    announce: notifi`, 4, /^announce: expected outbox or notify; did you mean notify\?$/],
    [`${binding}    announce:`, 4, /^announce: expected outbox or notify$/],
    [`${binding}    columns: []`, 4, /^columns: expected a list of names; leave it out/],
    [`${binding}    columns: [id, 1]`, 4, /^columns: expected a list of names/],
    [`${binding}    columns: id`, 4, /^columns: expected a list of names/],
    [`${binding}  - b`, 4, /^expected a map with the members table and key$/],
    [`${binding}  -`, 4, /^expected a map with the members table and key$/],
    [`${binding}  - table: c.d`, 4, /^the member key is missing$/],
    [`${binding}  - key: d:{id}`, 4, /^the member table is missing$/],
    [`${binding}  - table: c.d\n    key: b:{id}`, 4, /^the key b:\{id\} is bound in line 2 already$/],
    [
      binding.replace('a.b', 'b'),
      2,
      /^table: "b" is not a name with its schema, as in public\.products; quote/,
    ],
    [binding.replace('a.b', 'a.b c'), 2, /^table: "a\.b c" is not a name with its schema/],
    ['bindings:\n\t- a', 2, /^is not YAML: /],
    [`${binding}    key: c:{id}`, 4, /^is not YAML: Map keys must be unique$/],
    [`${binding}---\nbindings: []`, 4, /^expected one YAML document; there is another one$/],
  ]
  for (const [text, line, says] of faulty) {
    const { faults } = parseBindingsFile(text)
    t.equal(faults.length, 1, JSON.stringify(text))
    t.match(faults[0], { line, says }, JSON.stringify(text))
  }
})

t.test('all faults of a file are found at once', async (t) => {
  const { faults } = parseBindingsFile('bindings:\n  - table: b\n    kay: b:{id}\n  - tabel: a.b\n    key: 1')
  t.strictSame(
    faults.map(({ line }) => line),
    [3, 2, 4, 5],
  )
})
