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

t.test('a file may be JSON, and may have no binding', async (t) => {
  const { bindings, faults } = parseBindingsFile('{"bindings": [\n{"table": "a.b", "key": "b:{id}"}]}')
  t.strictSame(faults, [])
  t.match(bindings, [{ table: 'a.b', key: 'b:{id}', line: 2 }])
  t.strictSame(parseBindingsFile('bindings: []'), { bindings: [], faults: [] })
})

t.test('each fault has its line and its cure', async (t) => {
  const binding = 'bindings:\n  - table: a.b\n    key: b:{id}\n'
  const faulty: readonly (readonly [text: string, line: number, says: RegExp])[] = [
    ['', 1, /^expected a map with the member bindings$/],
    ['- a', 1, /^expected a map with the member bindings$/],
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
    [`${binding}---\nbindings: []`, 4, /^is not YAML: /],
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
