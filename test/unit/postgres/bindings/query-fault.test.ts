import t from 'tap'
import { type QueryShape, queryFaultOf } from '../../../../src/postgres/bindings/query-fault.js'

const sound: QueryShape = {
  pattern: "o'film:{id}",
  query: 'public.cache_query_1',
  is_closed: false,
  dropped_tables: [],
  replaced_tables: [],
  missing_columns: [],
  renamed_tables: [],
  related_tables: [],
  unwatched_tables: [],
  lacks_mapping: false,
  unknown_tables: [],
  forbidden_call: null,
  unreadable_tables: [],
  role: 'app',
}
const unbind = "run as the owner: select cache_unbind('o''film:{id}')"
const again =
  'run as the owner: select cache_bind_query(pattern, query, depends, is_many, ttl, group_name, names_in) ' +
  "from cache_bound_queries where pattern = 'o''film:{id}'"

t.test('a sound query has no fault', async (t) => {
  t.equal(queryFaultOf(sound), undefined)
  t.equal(queryFaultOf({ ...sound, is_closed: null }), undefined)
})

interface Expected {
  readonly says: string
  readonly cure: string
  readonly isCuredByBinding?: true
}
const faults: readonly (readonly [changes: Partial<QueryShape>, expected: Expected])[] = [
  [
    { dropped_tables: ['public.film'] },
    { says: 'the table public.film was dropped', cure: `bind the query without it, or ${unbind}` },
  ],
  [
    { replaced_tables: ['public.film'] },
    {
      says: 'public.film is another table than the one that the query depends on',
      cure: again,
      isCuredByBinding: true,
    },
  ],
  [
    { missing_columns: ['public.film.id'] },
    {
      says: 'there is no column public.film.id, which leads to keys',
      cure: `bind the query with other columns, or ${unbind}`,
    },
  ],
  [{ query: null }, { says: 'the function of the query was dropped', cure: again, isCuredByBinding: true }],
  [
    { lacks_mapping: true },
    { says: 'the function of the query of a dependency was dropped', cure: again, isCuredByBinding: true },
  ],
  [
    { related_tables: ['public.film'] },
    {
      says: 'public.film has relatives by inheritance or foreign partitions, whose changes are not announced',
      cure: `end that, or ${unbind}`,
    },
  ],
  [
    { renamed_tables: ['public.film'] },
    {
      says: 'columns of public.film were renamed, so that others lead to keys than those that were bound',
      cure: again,
      isCuredByBinding: true,
    },
  ],
  [
    { unwatched_tables: ['public.film', 'public.actor'] },
    {
      says: 'changes of public.film, public.actor are not announced: triggers are missing or changed',
      cure: again,
      isCuredByBinding: true,
    },
  ],
  [
    { unknown_tables: ['public.film', 'public.actor'] },
    {
      says: 'the query reads public.film, public.actor by now, which depends leaves out',
      cure: `bind the query with public.film, public.actor in depends, or ${unbind}`,
    },
  ],
  [
    { forbidden_call: 'it calls random()' },
    {
      says: 'answers of the query change without a change of a row: it calls random()',
      cure: `change that, or ${unbind}`,
    },
  ],
  [
    { is_closed: true },
    {
      says: 'the role app may not read the query',
      cure: 'run as the owner: grant execute on function public.cache_query_1 to app',
    },
  ],
  [
    { unreadable_tables: ['public.film', 'public.actor'] },
    {
      says: 'the role app may not read public.film, public.actor',
      cure: 'run as the owner: grant select on public.film to app; grant select on public.actor to app',
    },
  ],
]

for (const [changes, expected] of faults)
  t.test(`a fault: ${JSON.stringify(changes)}`, async (t) => {
    const { shown, ...rest } = queryFaultOf({ ...sound, ...changes }) ?? { shown: '' }
    t.strictSame(rest, expected)
    t.match(shown, /^(a table|a column|columns|the function|the changes|its query|the role) /)
    t.notMatch(shown, /public|film|app|random/, 'clients are shown no name of an object')
  })

t.test('the first fault is named: without a table, nothing else can be known', async (t) => {
  const all = Object.assign({}, ...faults.map(([changes]) => changes))
  t.match(queryFaultOf({ ...sound, ...all })?.says, /public\.film was dropped/)
})

t.test('a table without its triggers is named as such, and not as one with renamed columns', async (t) => {
  const found = { renamed_tables: ['public.film'], unwatched_tables: ['public.film'] }
  t.match(queryFaultOf({ ...sound, ...found })?.says, /^changes of public\.film are not announced/)
})
