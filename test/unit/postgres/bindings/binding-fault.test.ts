import t from 'tap'
import { type BindingShape, faultOf } from '../../../../src/postgres/bindings/binding-fault.js'
import { soundTable as sound } from '../../../support/sound-table.js'

t.test('a sound table has no fault', async (t) => {
  t.equal(faultOf(sound), undefined)
  // The name that was bound is free now, because the table was renamed.
  t.equal(faultOf({ ...sound, table: 'shop.lines', is_replaced: null }), undefined)
  for (const type of ['text', 'character varying', 'smallint', 'integer', 'bigint', 'uuid', 'date'])
    t.equal(faultOf({ ...sound, key_types: [type, 'date'] }), undefined, type)
})

t.test('a cure is valid SQL, whatever the pattern contains', async (t) => {
  const { cure } = faultOf({ ...sound, pattern: "o'clock:{no}", table: null }) ?? {}
  t.equal(cure, "run as the owner: select cache_unbind('o''clock:{no}')")
})

const faults: readonly [changes: Partial<BindingShape>, says: RegExp, cure: RegExp][] = [
  [{ table: null }, /the table public\.line was dropped/, /select cache_unbind\('line:\{no\}:\{day\}'\)/],
  [
    { table: 'public.old', is_replaced: true },
    /public\.line is another table than the one that was bound, which is public\.old now/,
    /cache_bind\('public\.line', key => 'line:\{no\}:\{day\}'/,
  ],
  [{ key_types: ['bigint', null] }, /has no column day of a type/, /cache_unbind/],
  [{ key_types: ['numeric', 'date'] }, /has no column no of a type/, /cache_unbind/],
  [{ missing_columns: ['note', 'other'] }, /has no column note/, /cache_bind/],
  [{ has_unique_index: false }, /no unique index on no, day/, /create unique index concurrently/],
  [{ has_relatives: true }, /parents or children by inheritance/, /end the inheritance/],
  [{ has_foreign_partitions: true }, /partitions that are foreign tables/, /detach them/],
  [{ has_other_columns: true }, /columns of public\.line were renamed/, /cache_bind/],
  [{ missing_triggers: ['updated'] }, /not announced.*\(updated\)/, /cache_bind/],
  [{ unwatched_partitions: ['public.line_1'] }, /not announced.*\(public\.line_1\)/, /cache_bind/],
  [{ may_read: false }, /the role app may not read public\.line/, /grant select on public\.line to app/],
  [{ may_read: null }, /may not read/, /grant select/],
]

for (const [changes, says, cure] of faults)
  t.test(`a fault: ${JSON.stringify(changes)}`, async (t) => {
    const fault = faultOf({ ...sound, ...changes })
    t.match(fault?.says, says)
    t.match(fault?.cure, cure)
    t.notMatch(fault?.shown, /public|line|app|note|updated/, 'clients are shown no name of an object')
  })

t.test('the first fault is named: without the table, nothing else can be known', async (t) => {
  const none = { table: null, key_types: [null, null], has_unique_index: false, may_read: null }
  t.match(faultOf({ ...sound, ...none })?.says, /dropped/)
})
