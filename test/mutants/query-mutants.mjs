/** Mistakes with bound queries (P18 of docs/protocol.md). As in mutants.mjs. */

const tables = 'sql/0011_bindings.sql'
const sql = 'sql/0013_bound_queries.sql'
const drain = 'src/postgres/outbox/drain-statement.ts'
const statements = 'src/postgres/bindings/bound-statements.ts'
const reads = 'src/postgres/bindings/bound-reads.ts'
const inspection = 'src/postgres/bindings/query-inspection.ts'
const fault = 'src/postgres/bindings/query-fault.ts'

const drains = 'src/postgres/outbox/drain-session.ts'
const troubled = { caughtBy: 'bindings/troubled-bindings', tests: 'a mapping that takes too long' }

const dependencies = (tests, file = sql) => ({ caughtBy: 'bindings/query-dependencies', tests, file })
const refused = (tests) => ({ caughtBy: 'bindings/query-refusals', tests, file: sql })
const malformed = (tests) => ({ caughtBy: 'bindings/malformed-depends', tests, file: sql })
const answers = (tests, file) => ({ caughtBy: 'bindings/bound-queries', tests, file })
const definitions = (tests, file = inspection) => ({ caughtBy: 'bindings/query-definitions', tests, file })
const fingerprint = 'the fingerprint of a query changes'

/** Mistakes on the way from a changed row to keys. */
const changes = [
  {
    name: 'query: the trigger runs a mapping',
    ...dependencies('a row that another transaction adds', tables),
    find: 'values (coalesce(key, former_key)%6$s);',
    replace: `values (coalesce(key, former_key)%6$s);
    with gone as (
      delete from %3$s as o where o.mapping is not null and o.xid = pg_current_xact_id() returning o.key, o.mapping
    )
    insert into %3$s (key)
    select dependent from gone, public.cache_dependents(gone.mapping, array[gone.key]) as dependent;`,
  },
  {
    name: 'query: a mapping sees more than its drain',
    ...dependencies('a row that another transaction removes'),
    find: 'returns setof text\n  language plpgsql stable set search_path',
    replace: 'returns setof text\n  language plpgsql volatile set search_path',
  },
  {
    name: 'query: a drain drops the rows of mappings',
    ...dependencies('each way from a row to keys', drain),
    find: 'from gone where mapping is not null and mapping not in',
    replace: 'from gone where mapping is null and mapping not in',
  },
  {
    name: 'query: the values of a mapping are announced as keys',
    ...dependencies('each way from a row to keys', drain),
    find: 'select key, null::text as mapping from gone where mapping is null',
    replace: 'select key, null::text as mapping from gone',
  },
  {
    name: 'query: a mapping that fails leads to no key',
    ...dependencies('a mapping that cannot be run'),
    find: 'exception when others or assert_failure then -- others leaves that out\n  return next null;',
    replace: 'exception when others or assert_failure then\n  return;',
  },
  {
    name: 'query: a mapping may take as long as it likes',
    ...dependencies('a mapping that is too slow', drains),
    find: 'await session.#limit(options.limitMs)',
    replace: 'await session.#limit(0)',
  },
  {
    name: 'query: a drain that was not in time runs the mappings again',
    ...dependencies('a mapping that is too slow', drains),
    find: 'await this.#send(null)',
    replace: 'await this.#send([])',
  },
  {
    name: 'query: a mapping that was too slow is tried each time',
    ...dependencies('a mapping that is too slow', drains),
    find: 'this.#unrunUntilMs.set(mapping, this.#clock.now() + unrunMs)',
    replace: 'this.#unrunUntilMs.set(mapping, this.#clock.now() + unrunMs * 0)',
  },
  {
    name: 'query: the rows of a mapping that is not run lead to no key',
    ...dependencies('a mapping that is too slow', drain),
    find: 'select null, mapping from unmapped',
    replace: 'select null, mapping from unmapped where false',
  },
  {
    name: 'query: a mapping is run for all rows of a large change',
    ...dependencies('a mapping of more changed rows', drain),
    find: 'or count(*) >',
    replace: 'or 0.5 * count(*) >',
  },
  {
    name: 'query: any key of a binding is any key at all',
    ...dependencies('a mapping that cannot be run', drain),
    find: 'bool_or(key is null and mapping is null)',
    replace: 'bool_or(key is null)',
  },
  {
    name: 'query: a name that is no mapping is announced as one',
    ...dependencies('a mapping that cannot be run', drain),
    find: `mapping ~ '^\${mappingName}$'`,
    replace: 'mapping is not null',
  },
  {
    name: 'query: the name of a mapping is taken for a key',
    ...troubled,
    file: 'src/postgres/feed/change.ts',
    find: 'else if (ofMapping.test(id))',
    replace: "else if (ofMapping.test('-'))",
  },
  {
    name: 'query: keys of a binding stay when any of them may have changed',
    ...troubled,
    file: 'src/core/feed/feed-follower.ts',
    find: 'state.dropCovered([change.pattern])',
    replace: 'state.dropCovered([])',
  },
  {
    name: 'query: a mapping leads to a few keys at most',
    ...dependencies('a mapping to more keys'),
    find: "as key limit 10001',",
    replace: "as key limit 1',",
  },
  {
    name: 'query: a mapping does not spell keys as rows do',
    ...dependencies('values of every type'),
    find: `''%%'', ''%%25''), '':'', ''%%3A'')',`,
    replace: `''%%'', ''%%''), '':'', '':'')',`,
  },
  {
    name: 'query: a null is mapped as an empty text',
    ...dependencies('values of every type', tables),
    find: "format('case when %1$s%2$I is not null then pg_catalog.concat(%1$s%2$I) end', source, name)",
    replace: "format('pg_catalog.concat(%1$s%2$I)', source, name)",
  },
  {
    name: 'query: a mapping reads times in the time zone of the session',
    caughtBy: 'bindings/mapping-settings',
    file: 'sql/0013_bound_queries.sql',
    find: "set timezone = ''UTC'' ",
    replace: '',
  },
  {
    name: 'query: everybody may run a mapping',
    ...dependencies('a mapping has the rights'),
    find: "  execute format('revoke execute on function %s.%I(json) from public', schema, name);\n",
    replace: '',
  },
  {
    name: 'query: everybody may ask for dependents',
    ...dependencies('a mapping has the rights'),
    find: 'revoke execute on function cache_dependents(text, text[]) from public;',
    replace: '',
  },
]

/** Mistakes in what is refused. */
const refusals = [
  {
    name: 'query: a table without a way to keys counts as announced',
    ...malformed('a table with an empty list'),
    find: '      left join lateral jsonb_array_elements(',
    replace: '      join lateral jsonb_array_elements(',
  },
  {
    name: 'query: depends may leave a table out',
    ...refused('a table that depends leaves out'),
    find: 'if missing.names is not null then',
    replace: 'if false then',
  },
  {
    name: 'query: views are not followed',
    ...refused('a table behind two views'),
    find: "pg_class.oid = uses.id and pg_class.relkind = 'v'",
    replace: "pg_class.oid = uses.id and pg_class.relkind = 'V'",
  },
  {
    name: 'query: functions are not followed',
    ...refused('a table behind a function'),
    find: ':((?:relid|funcid|aggfnoid|',
    replace: ':((?:relid|aggfnoid|',
  },
  {
    name: 'query: operators are not followed',
    ...refused('a volatile operator'),
    find: 'winfnoid|opno) [',
    replace: 'winfnoid) [',
  },
  {
    name: 'query: what only a mapping reads need not be in depends',
    ...refused('a table that only a mapping reads'),
    find: 'dependency.mapping, true, tables, false',
    replace: 'function_name::regprocedure, true, tables, true',
  },
  {
    name: 'query: a quoted name in a mapping is a text',
    ...refused('a quoted name in a mapping'),
    find: 'if not is_value then',
    replace: 'if false then',
  },
  {
    name: 'query: a query may read a temporary view',
    ...refused('refused: a temporary'),
    find: 'if temporary is not null then',
    replace: 'if false then',
  },
  {
    name: 'query: the date needs no ttl',
    ...refused('refused: the date'),
    find: "(0, '{SQLVALUEFUNCTION ')",
    replace: "(0, '{NOTHING ')",
  },
  {
    name: 'query: a sample is accepted',
    ...refused('refused: a sample'),
    find: "(1, '{TABLESAMPLECLAUSE ')",
    replace: "(1, '{NOTHING ')",
  },
  {
    name: 'query: a lock is accepted',
    ...refused('refused: a lock'),
    find: "(2, '{ROWMARKCLAUSE ')",
    replace: "(2, '{NOTHING ')",
  },
  {
    name: 'query: the clock needs no ttl',
    ...refused('refused: the clock'),
    find: "or (pg_proc.provolatile = 's' or",
    replace: "or (pg_proc.provolatile = 'S' or",
  },
  {
    name: 'query: an aggregate is taken for what its functions are not',
    ...refused('an aggregate whose functions may read tables'),
    find: " or pg_proc.prokind = 'a') and case",
    replace: ') and case',
  },
  {
    name: 'query: a function whose body is not known needs no ttl',
    ...refused('unknown body'),
    find: 'then pg_proc.prosqlbody is null',
    replace: 'then false',
  },
  {
    name: 'query: a volatile function is accepted',
    ...refused('a volatile function'),
    find: "pg_proc.provolatile = 'v' or (pg_proc.provolatile = 's'",
    replace: "(pg_proc.provolatile = 's'",
  },
  {
    name: 'query: a parameter of any type is accepted',
    ...refused('a parameter without one spelling'),
    find: 'where type::oid <> all(types) limit 1',
    replace: 'where false limit 1',
  },
  {
    name: 'query: a column of any type leads to keys',
    ...refused('a column of another type'),
    find: '        <> case parameter.typname',
    replace: "        = 'nothing' || case parameter.typname",
  },
  {
    name: 'query: two columns may have one name',
    ...refused('two columns of a name'),
    find: 'having count(*) > 1 limit 1',
    replace: 'having count(*) > 9 limit 1',
  },
  {
    name: 'query: a mapping may return more than the values of the key',
    ...refused('a mapping with too many columns'),
    find: 'if found <> cardinality(parameters) then',
    replace: 'if false then',
  },
  {
    name: 'query: a query and a table may cover the same keys',
    ...refused('a binding is replaced in place'),
    file: tables,
    find: 'select key from %1$s.cache_bindings where key <> $1',
    replace: 'select key from %1$s.cache_bindings where query is null and key <> $1',
  },
  {
    name: 'query: the end of a binding leaves its functions',
    ...refused('leaves nothing behind'),
    find: "    execute format('drop function %s', function_name);",
    replace: '    null;',
  },
  {
    name: 'query: a binding that is replaced forgets its invalidations',
    ...refused('leaves nothing behind'),
    find: 'coalesce(invalidations, 0)',
    replace: '0',
  },
  {
    name: 'query: a table takes the pattern of a query, and leaves the query',
    ...refused('a table and a query take'),
    file: tables,
    find: "  execute format('select %s.cache_end_query($1, $2)', schema) using schema, cache_bind.key;\n",
    replace: '',
  },
]

/** Mistakes in what is answered. */
const answered = [
  {
    name: 'query: one of several rows is the answer',
    ...answers('several fails for this key only', statements),
    find: 'count(*) > 1 as is_ambiguous',
    replace: 'false as is_ambiguous',
  },
  {
    name: 'query: the first row is the answer',
    ...answers('several fails for this key only', statements),
    find: `from \${rows} limit 2) as few`,
    replace: `from \${rows} limit 1) as few`,
  },
  {
    name: 'query: an ambiguous answer has a version',
    ...answers('several fails for this key only', statements),
    find: 'case when stored.is_ambiguous then',
    replace: 'case when stored.value is null then',
  },
  {
    name: 'query: an error of one key fails others',
    ...answers('an error of one key', reads),
    find: "if (!error.isOfWholeStatement && (isQuery(bound) || hasCode(error, 'refused')))",
    replace: "if (error.isOfWholeStatement && (isQuery(bound) || hasCode(error, 'refused')))",
  },
  {
    name: 'query: a statement with a key that fails is not split',
    ...answers('an error of one key', 'src/core/batching/bisect.ts'),
    find: "  'binding-unusable',\n",
    replace: '',
  },
  {
    name: 'query: a request for several keys does not name the one that fails',
    ...answers('an error of one key', 'src/core/reads/bulk-reads.ts'),
    find: '!error.isOfWholeStatement)',
    replace: 'error.isOfWholeStatement)',
  },
  {
    name: 'query: an answer is held beyond its ttl',
    ...answers('depends on the clock', reads),
    find: 'isQuery(bound) ? bound.ttlMs : undefined',
    replace: 'isQuery(bound) && wanted.length > 99 ? bound.ttlMs : undefined',
  },
  {
    name: 'query: an absence is held beyond the ttl',
    ...answers('depends on the clock', reads),
    find: '{ version: undefined, epoch, viaOutbox, remainingMs }',
    replace: '{ version: undefined, epoch, viaOutbox }',
  },
  {
    name: 'query: groups and prefixes leave queries out',
    ...answers('invalidation by key, group', tables),
    find: "array['cache_bound_tables', 'cache_bound_queries']",
    replace: "array['cache_bound_tables']",
  },
  {
    name: 'query: an invalidation of a key of a query is not announced',
    ...answers('invalidation by key, group', tables),
    find: 'from %1$I.cache_bindings as binding (pattern) where',
    replace: 'from %1$I.cache_bindings as binding (pattern) where query is null and',
  },
]

/** Mistakes in what an inspection notices. */
const noticed = [
  {
    name: 'query: one that is bound again has the same digest',
    ...definitions(fingerprint, 'src/postgres/bindings/binding-inspection.ts'),
    find: 'pg_catalog.concat(q.xmin, q::text)',
    replace: 'pg_catalog.concat(q::text)',
  },
  {
    name: 'query: a replaced view does not change the fingerprint',
    ...definitions(fingerprint),
    find: 'from pg_rewrite where ev_class = one.relid',
    replace: 'from pg_rewrite where ev_class = one.relid and ev_class < 0::oid',
  },
  {
    name: 'query: a replaced function does not change the fingerprint',
    ...definitions(fingerprint),
    find: "select id from used where pattern = q.pattern and class = 'pg_proc'::regclass::oid\n       ))),",
    replace: 'select id from used where pattern = q.pattern and class < 0::oid\n       ))),',
  },
  {
    name: 'query: options of a view do not change the fingerprint',
    ...definitions(fingerprint, 'src/postgres/bindings/relation-inspection.ts'),
    find: 'pg_catalog.concat(relowner, reloptions)',
    replace: 'pg_catalog.concat(relowner)',
  },
  {
    name: 'query: a replaced view is not announced',
    ...definitions('a view or a function that is replaced', tables),
    find: "(object_type = ''view'' or classid",
    replace: '(classid',
  },
  ...[
    ['replaced !== undefined', 'a table is swapped'],
    ['missing !== undefined', 'a column that leads to keys'],
    ['query === null || shape.lacks_mapping', 'the function of a mapping'],
    ['related !== undefined', 'a table gets a child'],
    ['unwatched.length > 0', 'a trigger is disabled'],
    ['unknown.length > 0', 'a view reads another table'],
    ['shape.forbidden_call !== null', 'a function becomes volatile'],
  ].map(([condition, tests]) => ({
    name: `query: not a fault: ${tests}`,
    ...definitions('each fault of a query', fault),
    find: `if (${condition})`,
    replace: `if (${condition.replace(/query === null \|\| /, '')} && role === '')`,
  })),
  {
    name: 'query: not a fault: a table that the role may not read',
    ...definitions('row-level security and the rights', fault),
    find: 'shape.is_closed || shape.unreadable_tables.length > 0',
    replace: 'shape.is_closed',
  },
]

export const queryMutants = [...changes, ...refusals, ...answered, ...noticed]
