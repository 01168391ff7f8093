/** Mistakes with bound tables (P16 of docs/protocol.md). As in mutants.mjs. */

const sql = 'sql/0011_bindings.sql'
const inspection = 'src/postgres/bindings/binding-inspection.ts'
const relations = 'src/postgres/bindings/relation-inspection.ts'
const reads = 'src/postgres/bindings/bound-reads.ts'
const store = 'src/postgres/bindings/bound-store.ts'
const statements = 'src/postgres/bindings/bound-statements.ts'
const known = 'src/postgres/bindings/known-bindings.ts'
const follower = 'src/core/feed/feed-follower.ts'
const state = 'src/core/state/cache-state.ts'
const announced = { caughtBy: 'bindings/bind', tests: 'what statements announce', file: sql }
const formerKeys = { caughtBy: 'bindings/former-keys', file: sql }
const renamed = { caughtBy: 'bindings/renamed-columns', file: sql }
const announcedByRows = { caughtBy: 'bindings/bind', tests: 'what row triggers announce', file: sql }
const overlap = { caughtBy: 'bindings/bind', tests: 'patterns that can match', file: sql }
const invalidated = { caughtBy: 'bindings/bind', tests: 'announce that there are other', file: sql }
const fingerprint = { caughtBy: 'bindings/binding-fingerprint', file: inspection }
const faults = { caughtBy: 'bindings/bound-definitions', tests: 'each fault of a bound table' }
const oneKey = { caughtBy: 'integration/bindings/bound-reads', tests: 'each row has one key' }
const refusedWrites = {
  caughtBy: 'integration/bindings/bound-reads',
  tests: 'writes of bound keys are refused',
}
const firstContact = { caughtBy: 'integration/bindings/bound-reads', tests: 'has not heard of the bindings' }
const whileChanging = { caughtBy: 'bound-tables' }

/** Mistakes in what the triggers and functions of the database do. */
const inDatabase = [
  {
    name: 'an UPDATE announces the new key only',
    ...announced,
    find: 'if former_key operator(pg_catalog.<>) key then',
    replace: 'if false then',
  },
  {
    name: 'an UPDATE announces its key twice',
    ...formerKeys,
    tests: 'a statement that names the key and changes nothing',
    find: 'if former_key operator(pg_catalog.<>) key then',
    replace: 'if former_key is not null and key is not null then',
  },
  {
    name: 'a key that becomes null is not announced',
    ...formerKeys,
    tests: 'a key that becomes null',
    find: 'values (coalesce(key, former_key)',
    replace: 'values (coalesce(key, case when tg_op = $$DELETE$$ then former_key end)',
  },
  {
    name: 'a changed row without a key is announced as any key',
    ...announced,
    find: `tg_op operator(pg_catalog.=) 'TRUNCATE' or`,
    replace: `tg_op operator(pg_catalog.<>) 'DELETE' or`,
  },
  {
    name: 'with notify, an UPDATE announces the new keys only',
    ...announced,
    find: 'keys := array(%1$s union %2$s limit 10001);',
    replace: 'keys := array(%1$s limit 10001);',
  },
  {
    name: 'with notify, an UPDATE of a partition announces the new key only',
    ...announcedByRows,
    find: "if tg_op <> 'INSERT' then keys := keys || array[%4$s]; end if;",
    replace: "if tg_op = 'DELETE' then keys := array[%4$s]; end if;",
  },
  {
    name: 'changes of more rows than are named are announced in part',
    ...announced,
    find: 'is_everything := cardinality(keys) > 10000',
    replace: 'is_everything := cardinality(keys) > 10001',
  },
  {
    name: 'with notify, a TRUNCATE announces nothing',
    ...announced,
    find: "  if tg_op = 'TRUNCATE' then\n    is_everything := true;",
    replace: "  if tg_op = 'TRUNCATE' then\n    keys := '{}';",
  },
  {
    name: 'with notify, a row without a key announces everything',
    ...announced,
    find: "select string_agg(format('%I is not null', name), ' and ')",
    replace: "select string_agg(format('(%I is null or true)', name), ' and ')",
  },
  {
    name: 'a former key that differs by its case only is not announced',
    caughtBy: 'bindings/bind',
    tests: 'texts that a collation takes for equal',
    file: sql,
    find: 'if former_key operator(pg_catalog.<>) key then',
    replace: 'if pg_catalog.lower(former_key) operator(pg_catalog.<>) pg_catalog.lower(key) then',
  },
  {
    name: 'with notify, a key that stays the same counts twice',
    ...announced,
    find: 'keys := array(%1$s union %2$s limit 10001);',
    replace: 'keys := array(%1$s union all %2$s limit 10001);',
  },
  {
    name: 'another cache takes over the triggers of a binding',
    caughtBy: 'bindings/bind',
    tests: 'two caches',
    file: sql,
    find: 'if other_cache is not null then',
    replace: 'if other_cache is not null and false then',
  },
  {
    name: 'a writer looks up a name in the schema of the cache',
    caughtBy: 'bindings/bind',
    tests: 'with notify',
    file: sql,
    find: `case when exists (select from pg_namespace where oid = %5$L::oid and nspname = %6$L) then %6$L`,
    replace: `case when to_regclass('%6$I.cache_outbox') is not null then %6$L`,
  },
  {
    name: 'columns that have changed places are no fault',
    ...renamed,
    file: 'src/postgres/bindings/binding-fault.ts',
    tests: 'a table: columns that change places',
    find: 'if (shape.has_other_columns)',
    replace: 'if (shape.has_other_columns && false)',
  },
  {
    name: 'a trigger uses an operator in the search path of its writer',
    caughtBy: 'bindings/outbox',
    tests: 'what is in the search path',
    file: sql,
    find: "::pg_catalog.text' || coalesce(' operator(pg_catalog.||) '",
    replace: "::pg_catalog.text' || coalesce(' || '",
  },
  {
    name: 'columns that were renamed and renamed back are not in the fingerprint',
    ...fingerprint,
    file: relations,
    tests: 'rename id to former',
    find: 'atttypid, atttypmod, attacl, xmin)',
    replace: 'atttypid, atttypmod, attacl)',
  },
  {
    name: 'a definition by a session with an older snapshot is not announced',
    caughtBy: 'bindings/bound-definitions',
    tests: 'a superuser that owns the cache',
    file: sql,
    find: "if is_bound or current_setting('transaction_isolation') <> 'read committed' then",
    replace: 'if is_bound then',
  },
  {
    name: 'a column with another type fails statements of writers',
    ...renamed,
    tests: 'a table: a column that changes places',
    find: `undefined_column or datatype_mismatch then
    is_everything := true;
    key := null;`,
    replace: `undefined_column then
    is_everything := true;
    key := null;`,
  },
  {
    name: 'a transaction with an older snapshot does not find the outbox',
    caughtBy: 'bindings/outbox',
    tests: 'a transaction whose snapshot is older',
    file: sql,
    find: 'if pg_catalog.to_regclass(outbox) is null then',
    replace: 'if false then',
  },
  {
    name: 'after a restore, keys go to the outbox of another cache',
    caughtBy: 'bindings/outbox',
    tests: 'after a restore from a dump',
    file: sql,
    find: 'if pg_catalog.to_regclass(outbox) is null then',
    replace: 'if true then',
  },
  {
    name: 'the bindings are locked before the table is',
    caughtBy: 'bindings/bind',
    tests: 'a transaction that writes and then drops a group can go on while a query',
    file: sql,
    find: "    execute format('lock table %s in %s mode', bound,",
    replace: "    perform format('%s %s', bound,",
  },
  {
    name: 'the bindings are locked before the table that a binding leaves is',
    caughtBy: 'bindings/bind',
    tests: 'a transaction that writes and then drops a group can go on while a table',
    file: sql,
    find: 'where oid = any(former || cache_lock_tables.tables::oid[])',
    replace: 'where oid = any(cache_lock_tables.tables::oid[])',
  },
  {
    name: 'triggers are dropped before their table is locked',
    caughtBy: 'bindings/bind',
    tests: 'a binding of partitions that no longer notifies',
    file: sql,
    find: "    execute format('lock table %s in access exclusive mode', bound);",
    replace: '    null;',
  },
  {
    name: 'the end of a binding of a table locks its row first',
    caughtBy: 'bindings/bind',
    tests: 'a transaction that writes and then drops a group can go on while a table',
    file: sql,
    find: "  execute format('select %s.cache_lock_tables($1, $2, $3)', schema) using schema, cache_unbind.key",
    replace: `  execute format('update %s.cache_bound_tables set announce = announce where pattern = $1', schema) using cache_unbind.key;
  execute format('select %s.cache_lock_tables($1, $2, $3)', schema) using schema, cache_unbind.key`,
  },
  {
    name: 'the end of a binding locks its tables one by one',
    caughtBy: 'bindings/bind',
    tests: 'two queries over the same tables end',
    file: sql,
    find: "select %s.cache_lock_tables($1, $2, $3)', schema) using schema, cache_unbind.key, '{}'::regclass[];",
    replace: "select from %s.cache_entries limit 0', schema);",
  },
  {
    name: 'the end of a binding drops the triggers of another cache',
    caughtBy: 'bindings/two-caches',
    file: sql,
    find: 'and proname = cache_unwatch_rows.name and pronamespace = schema::regnamespace::oid',
    replace: "and starts_with(tgname::text, cache_unwatch_rows.name || '_')",
  },
  {
    name: 'readers wait while a binding begins to notify',
    caughtBy: 'bindings/bind',
    tests: 'readers do not wait while a binding begins',
    file: sql,
    find: "(prosecdef or cache_unwatch_rows.announce = 'notify')",
    replace: "prosecdef = (cache_unwatch_rows.announce = 'outbox')",
  },
  {
    name: 'triggers for statements stay when a binding no longer notifies',
    caughtBy: 'bindings/bind',
    tests: 'a binding is replaced in place',
    file: sql,
    find: "(prosecdef or cache_unwatch_rows.announce = 'notify')",
    replace: 'true',
  },
  {
    name: 'bindings from before a restore are not noticed',
    caughtBy: 'bindings/outbox',
    tests: 'after a restore from a dump',
    file: 'src/postgres/bindings/announcer-owners.ts',
    find: 'in prosrc) = 0',
    replace: 'in prosrc) < 0',
  },
  {
    name: 'domains are not in the fingerprint',
    ...fingerprint,
    file: relations,
    tests: 'alter type size',
    find: 'array[typelem, typbasetype]',
    replace: 'array[typelem]',
  },
  {
    name: 'rows of a renamed column are not announced',
    ...renamed,
    tests: 'a table, notify: a renamed column',
    find: "format('pg_typeof(%I) <> ''boolean''::regtype', name), ' and ')",
    replace: "format('pg_typeof(%I) is not null', name), ' and ')",
  },
  {
    name: 'a renamed column fails statements of writers',
    ...renamed,
    tests: 'a table, notify: a renamed column',
    find: "format('false as %I', name)",
    replace: "format('false as %I', name || '_')",
  },
  {
    name: 'a renamed column fails statements of writers of a partitioned table',
    ...renamed,
    tests: 'a partitioned table: a renamed column',
    find: 'exception when undefined_column or datatype_mismatch then\n    is_everything := true;',
    replace: 'exception when datatype_mismatch then\n    is_everything := true;',
  },
  {
    name: 'a renamed column of a mapping calls the mapping',
    ...renamed,
    tests: 'a column in a mapping',
    find: 'union all select null, null where $3',
    replace: 'union all select null, $2 where $3',
  },
  {
    name: 'a date in a key follows the DateStyle of the session',
    ...announced,
    find: 'case when has_date then',
    replace: 'case when has_date and false then',
  },
  {
    name: 'a notification is longer than PostgreSQL accepts',
    ...announced,
    find: 'over (rows unbounded preceding) / 4700 as page',
    replace: 'over (rows unbounded preceding) / 9400 as page',
  },
  {
    name: 'a long key is announced as it is',
    caughtBy: 'bindings/bind',
    tests: 'a long key is announced by its hash',
    file: sql,
    find: `when octet_length(key) > 128 and octet_length(convert_to(key, 'UTF8')) > 512
`,
    replace: `when octet_length(key) > 128 and length(key) > 512
`,
  },
  {
    name: 'a colon in a value looks like one of the pattern',
    caughtBy: 'bindings/bind',
    tests: 'names of any spelling',
    file: sql,
    find: "'':'', ''%%3A'') end'",
    replace: "'':'', '':'') end'",
  },
  {
    name: 'the channel has the schema that the cache was in when the table was bound',
    caughtBy: 'bindings/bind',
    tests: 'names of any spelling',
    file: sql,
    find: 'own_schema := case when exists',
    replace: 'own_schema := case when true or exists',
  },
  {
    name: 'a partitioned table has no triggers for rows that fire always',
    ...announcedByRows,
    find: "case when is_outbox or is_partitioned then 'enable always' else",
    replace: "case when is_outbox then 'enable always' else",
  },
  {
    name: 'rows are not announced in the replica role',
    ...announcedByRows,
    find: "case when is_outbox or is_partitioned then 'enable always' else",
    replace: "case when is_outbox then 'enable' when is_partitioned then 'enable always' else",
  },
  {
    name: 'the columns of a key may be dropped',
    ...renamed,
    tests: 'is neither dropped nor given another type',
    find: "format(' and new.%I is null', column_name)",
    replace: "format(' and %L is null', column_name)",
  },
  {
    name: 'other bindings are not announced',
    ...invalidated,
    find: `    '["' || chr(92) || 'u0000bindings","1"]'
  );
  return null;`,
    replace: `    'echo 0123456789abcdef'
  );
  return null;`,
  },
  {
    name: 'an invalidation of a group leaves out the bindings in it',
    ...invalidated,
    find: 'where $3 or group_name = any($1)',
    replace: 'where $3 or group_name = any($1) and $3',
  },
  {
    name: 'an invalidation of a prefix leaves out the bindings with it',
    ...invalidated,
    find: "or starts_with(split_part(pattern, ''{'', 1), $2)",
    replace: '',
  },
  {
    name: 'an invalidation of a bound key is not announced',
    caughtBy: 'bindings/bind',
    tests: 'an invalidation of a key that can be bound',
    file: sql,
    find: "where starts_with(key, split_part(pattern, ''{'', 1))",
    replace: 'where key is null',
  },
  {
    name: 'a second binding may cover the same keys',
    ...overlap,
    find: 'if other is not null then',
    replace: 'if other = cache_bind.key then',
  },
  {
    name: 'patterns with columns at the same place do not overlap',
    ...overlap,
    tests: 'two patterns overlap exactly',
    find: "then starts_with(split_part(a, '{', 1), split_part(b, '{', 1))\n            or ",
    replace: 'then ',
  },
  {
    name: 'a partial index counts as a unique one',
    caughtBy: 'bindings/bind',
    tests: 'refused: a partial index',
    file: sql,
    find: 'indisvalid and indimmediate and indpred is null\n',
    replace: 'indisvalid and indimmediate\n',
  },
  {
    name: 'the triggers of the former table stay',
    caughtBy: 'bindings/bind',
    tests: 'a binding is replaced in place',
    file: sql,
    find: 'using schema, announcer, before, cache_bind.bound, cache_bind.announce;',
    replace: 'using schema, announcer, null::regclass, cache_bind.bound;',
  },
  {
    name: 'a binding that is made again locks out readers',
    caughtBy: 'bindings/bind',
    tests: 'readers do not wait',
    file: sql,
    find: 'if next::oid = bound::oid and exists (',
    replace: 'if false and exists (',
  },
  {
    name: 'a table can be bound beside sidecars that do not know bindings',
    caughtBy: 'bindings/bound-definitions',
    tests: 'a sidecar of an earlier version',
    file: sql,
    find: "application_name = 'caching-layer feed'",
    replace: "application_name = 'caching-layer'",
  },
  {
    name: 'a definition is not announced at once',
    caughtBy: 'bindings/bound-definitions',
    tests: 'a superuser that owns the cache',
    file: sql,
    find: 'if is_bound or current_setting',
    replace: 'if false and current_setting',
  },
]

/** Mistakes in the inspection of bound tables. */
const inInspection = [
  {
    name: 'the digest of the bindings covers their patterns only',
    ...fingerprint,
    tests: 'the digest, which probes return',
    find: 'pg_catalog.concat(b.xmin, b::text)',
    replace: 'pattern',
  },
  {
    name: 'a renamed label of an enum does not change the fingerprint',
    ...fingerprint,
    file: relations,
    tests: 'alter type mood',
    find: "concat_ws(' ', pg_enum.oid, enumlabel)",
    replace: "concat_ws(' ', pg_enum.oid)",
  },
  {
    name: 'enums in arrays are not in the fingerprint',
    ...fingerprint,
    file: relations,
    tests: 'alter type tag',
    find: 'array[typelem, typbasetype]',
    replace: 'array[typbasetype]',
  },
  {
    name: 'attributes of composite types are not in the fingerprint',
    ...fingerprint,
    file: relations,
    tests: 'alter type point_3d',
    find: 'from pg_attribute join pg_type on typrelid = attrelid join types on types.id = pg_type.oid',
    replace:
      'from pg_attribute join pg_type on typrelid = attrelid join types on types.id = pg_type.oid and false',
  },
  {
    name: 'a truncated partition does not change the fingerprint',
    ...fingerprint,
    file: relations,
    tests: 'of a partition: truncate',
    find: 'part.oid, pg_relation_filenode(part.oid), relrowsecurity',
    replace: 'part.oid, relrowsecurity',
  },
  {
    name: 'a changed policy does not change the fingerprint',
    ...fingerprint,
    file: relations,
    tests: 'policy odd',
    find: "string_agg(pg_catalog.concat_ws(' ', oid, xmin), ',' order by oid)\n       from pg_policy",
    replace: "string_agg(pg_catalog.concat_ws(' ', oid), ',' order by oid)\n       from pg_policy",
  },
  {
    name: 'row-level security does not change the fingerprint',
    ...fingerprint,
    file: relations,
    tests: 'row level security',
    find: 'pg_relation_filenode(part.oid), relrowsecurity,\n         relforcerowsecurity, relacl,',
    replace: 'pg_relation_filenode(part.oid), relacl,',
  },
  {
    name: 'roles share a fingerprint',
    ...fingerprint,
    tests: 'each role has its own',
    file: relations,
    find: 'where me.rolname = current_user)',
    replace: "where me.rolname = 'postgres')",
  },
  {
    name: 'a fault is not in the fingerprint',
    ...fingerprint,
    tests: 'of the table: alter table item drop constraint',
    find: `fingerprint: \`\${row.fingerprint} \${fault?.says ?? ''}\``,
    replace: 'fingerprint: row.fingerprint',
  },
  {
    name: 'another table under the name of the bound one is not noticed',
    ...faults,
    file: inspection,
    find: '<> b.bound::oid as is_replaced',
    replace: '<> c.oid and c.oid is null as is_replaced',
  },
  {
    name: 'a disabled trigger counts as enabled',
    ...faults,
    file: relations,
    find: 'and tgenabled = wanted.state and',
    replace: 'and wanted.state is not null and',
  },
  {
    name: 'a table without a unique index is served',
    caughtBy: 'bindings/binding-fault',
    file: 'src/postgres/bindings/binding-fault.ts',
    find: 'if (!shape.has_unique_index)',
    replace: 'if (!shape.has_unique_index && shape.kind === null)',
  },
  {
    name: 'a partition without triggers is served',
    caughtBy: 'bindings/binding-fault',
    file: 'src/postgres/bindings/binding-fault.ts',
    find: 'const unwatched = [...shape.missing_triggers, ...shape.unwatched_partitions]',
    replace: 'const unwatched = [...shape.missing_triggers]',
  },
  {
    name: 'a pattern with an apostrophe breaks the cure',
    caughtBy: 'bindings/binding-fault',
    file: 'src/postgres/bindings/binding-definition.ts',
    find: `cache_unbind(\${pg.escapeLiteral(key)})`,
    replace: `cache_unbind('\${key}')`,
  },
  {
    name: 'the lease is renewed before changed bindings have been applied',
    caughtBy: 'bindings/inspections',
    tests: 'a probe proves nothing before',
    file: 'src/postgres/feed/prober.ts',
    find: `      if (isHurried || isChanged`,
    replace: `      handler.proven(sentMs, proofOf(proof, undefined))?.catch(end)
      if (isHurried || isChanged`,
  },
  {
    name: 'other bindings in a probe are ignored',
    caughtBy: 'bindings/inspections',
    tests: 'a probe proves nothing before',
    file: 'src/postgres/feed/prober.ts',
    find: ' || digest !== seen.digest',
    replace: '',
  },
  {
    name: 'definitions that nobody announces are never noticed',
    caughtBy: 'bindings/inspections',
    tests: 'within a minute',
    file: 'src/postgres/feed/prober.ts',
    find: 'sentMs - inspectedMs >= inspectionIntervalMs',
    replace: 'sentMs - inspectedMs >= inspectionIntervalMs * 10',
  },
  {
    name: 'an announcement of other bindings does not cause an inspection',
    caughtBy: 'bindings/inspections',
    tests: 'brings the inspection forward',
    file: 'src/postgres/feed/prober.ts',
    find: 'if (isHurried || isChanged) {',
    replace: 'if ((isHurried && isChanged) || isChanged) {',
  },
  {
    name: 'a statement inspects all bindings',
    caughtBy: 'bindings/inspections',
    tests: 'many bindings end no session',
    file: inspection,
    find: 'const partSize = 10',
    replace: 'const partSize = 1_000',
  },
  {
    name: 'the inspection of the minute holds up the probe',
    caughtBy: 'bindings/inspections',
    tests: 'many bindings end no session',
    file: 'src/postgres/feed/prober.ts',
    find: 'beside = this.#inspectBeside(end)',
    replace: 'beside = this.#inspectBeside(end)\n        this.found(await this.inspect())',
  },
  {
    name: 'an older inspection is passed on after a newer one',
    caughtBy: 'bindings/inspections',
    tests: 'an inspection that began before',
    file: 'src/postgres/feed/prober.ts',
    find: '        beside = undefined\n        inspectedMs = sentMs',
    replace: '        inspectedMs = sentMs',
  },
  {
    name: 'a table that is bound again has the same digest',
    ...fingerprint,
    tests: 'the digest, which probes return',
    find: 'pg_catalog.concat(b.xmin, b::text)',
    replace: 'pg_catalog.concat(b::text)',
  },
  {
    name: 'triggers of a binding are not in the fingerprint',
    ...fingerprint,
    tests: 'of the table',
    file: relations,
    find: 'pg_trigger.oid, pg_trigger.xmin, tgenabled',
    replace: "'-'",
  },
]

/** Mistakes in reads of bound rows, and in which source a key is read from. */
const inReads = [
  {
    name: 'the version of a row is a hash of its key',
    caughtBy: 'integration/bindings/bound-reads',
    tests: 'a strong ETag of its content',
    file: statements,
    find: "convert_to(stored.value, 'UTF8'::name)",
    replace: "convert_to(stored.key, 'UTF8'::name)",
  },
  {
    name: 'a row is returned under another key that its index takes for equal',
    caughtBy: 'integration/bindings/bound-reads',
    tests: 'a collation that takes two texts',
    file: statements,
    find: '        where stored.key = wanted.key\n',
    replace: '',
  },
  {
    name: 'settings of the session change the text of a moment',
    caughtBy: 'integration/bindings/bound-reads',
    tests: 'settings of the session',
    file: 'src/postgres/bindings/json-settings.ts',
    find: "['timestamp with time zone', ['TimeZone']]",
    replace: "['timestamp with time zone', []]",
  },
  {
    name: 'settings of the session change the text of a range',
    caughtBy: 'integration/bindings/bound-reads',
    tests: 'settings of the session',
    file: 'src/postgres/bindings/json-settings.ts',
    find: "settingsByType.get(type.replace(/\\[\\]$/, '')) ?? allSettings",
    replace: "settingsByType.get(type.replace(/\\[\\]$/, '')) ?? allSettings.slice(0, 0)",
  },
  {
    name: 'a number of nine digits fits a smallint',
    caughtBy: 'bindings/column-value',
    file: 'src/postgres/bindings/column-value.ts',
    find: 'if (bits > 15n && text.length <= 9)',
    replace: 'if (bits > 0n && text.length <= 9)',
  },
  {
    name: 'a number with a leading zero is a key of the row without it',
    caughtBy: 'bindings/column-value',
    file: 'src/postgres/bindings/column-value.ts',
    find: 'const integer = /^(?:0|-?[1-9]\\d{0,18})$/',
    replace: 'const integer = /^-?\\d{1,19}$/',
  },
  {
    name: 'a needless escape is a key of the row without it',
    caughtBy: 'bindings/column-value',
    file: 'src/postgres/bindings/column-value.ts',
    find: '/%(?!25|3A)/.test(text)',
    replace: '/%(?!25|3A|41)/.test(text)',
  },
  {
    name: 'a value is decoded twice',
    caughtBy: 'bindings/column-value',
    file: 'src/postgres/bindings/column-value.ts',
    find: "text.replaceAll('%3A', ':').replaceAll('%25', '%')",
    replace: "text.replaceAll('%25', '%').replaceAll('%3A', ':')",
  },
  {
    name: 'a number that the column cannot hold is sent',
    ...oneKey,
    file: 'src/postgres/bindings/column-value.ts',
    find: 'return value >= -(1n << bits) && value < 1n << bits',
    replace: 'return value >= -(1n << bits) || value < 1n << bits',
  },
  {
    name: 'a table with a fault is read',
    caughtBy: 'unit/postgres/bindings/bound-reads',
    file: reads,
    find: 'if (fault) throw',
    replace: 'if (fault && fault.says === bound.fingerprint) throw',
  },
  {
    name: 'a statement that fails for the table asks for no inspection',
    caughtBy: 'unit/postgres/bindings/bound-reads',
    file: reads,
    find: '      this.#bindings.outdated()\n',
    replace: '      void this.#bindings\n',
  },
  {
    name: 'the absence of rows that cannot be read is confirmed',
    caughtBy: 'unit/postgres/bindings/bound-reads',
    file: reads,
    find: 'new Map(keys.map((key) => [key, unknownVersion]))',
    replace: 'new Map(keys.slice(0, 0).map((key) => [key, unknownVersion]))',
  },
  {
    name: 'a comparison that is late for one binding ends the feed',
    caughtBy: 'unit/postgres/bindings/bound-reads',
    file: reads,
    find: 'const isLate = hasCode(error, ...notInTime) && !isReadTimeout(error)',
    replace: 'const isLate = hasCode(error, ...notInTime) && isReadTimeout(error)',
  },
  {
    name: 'a late comparison is tried for all entries of the binding',
    caughtBy: 'unit/postgres/bindings/bound-reads',
    file: reads,
    find: 'this.#clock.now() + notAskedMs',
    replace: 'this.#clock.now() - notAskedMs',
  },
  {
    name: 'a server that does not answer costs the rows that are held',
    caughtBy: 'unit/postgres/bindings/bound-reads',
    file: reads,
    find: '&& !isReadTimeout(error)',
    replace: '&& !isReadTimeout(undefined)',
  },
  {
    name: 'an unavailable database counts as a fault of the table',
    caughtBy: 'unit/postgres/bindings/bound-reads',
    file: reads,
    find: "= ['store-failed', 'forbidden', 'refused', 'store-not-ready']",
    replace: "= ['store-failed', 'forbidden', 'refused', 'store-not-ready', 'store-unavailable']",
  },
  {
    name: 'a strong read of several tables is several snapshots',
    caughtBy: 'integration/bindings/bound-reads',
    tests: 'one snapshot',
    file: store,
    find: 'if (sources.size > 1) return this.#readSnapshot(sources, part)',
    replace:
      'if (sources.size > 1) return sources.size > 100 ? this.#readSnapshot(sources, part) : this.read(wanted, part)',
  },
  {
    name: 'rows of bound tables are compared with the entries',
    caughtBy: 'bindings/bound-store',
    file: store,
    find: 'const found = await (bound === undefined',
    replace: 'const found = await (bound === undefined || bound.fault !== undefined',
  },
  {
    name: 'the version of a row that was bound is sent to the entries',
    caughtBy: 'bindings/bound-store',
    file: store,
    find: 'const wanted = bound === undefined ? asEntry(item) : item',
    replace: 'const wanted = item',
  },
  {
    name: 'a write of a bound key is sent before the first contact',
    ...firstContact,
    file: store,
    find: '    await this.#requireUnbound(writes)\n',
    replace: '',
  },
  {
    name: 'a delete of a bound key is sent before the first contact',
    ...firstContact,
    file: store,
    find: '    await this.#requireUnbound(keys.map((key) => ({ key })))\n',
    replace: '',
  },
  {
    name: 'a conditional write of a bound key is sent before the first contact',
    ...firstContact,
    file: store,
    find: '    await this.#requireUnbound([write])\n',
    replace: '',
  },
  {
    name: 'bindings that no session confirms are relied on for ever',
    caughtBy: 'bindings/known-bindings',
    file: known,
    find: 'return ageMs <= this.#options.maxStalenessMs ? this.#found?.sources : undefined',
    replace: 'return ageMs <= this.#options.maxStalenessMs * 1_000 ? this.#found?.sources : undefined',
  },
  {
    name: 'a probe does not confirm the bindings',
    caughtBy: 'bindings/known-bindings',
    file: known,
    find: `  proven(asOfMs: number): void {
    this.#asOfMs = asOfMs`,
    replace: `  proven(asOfMs: number): void {
    void asOfMs`,
  },
  {
    name: 'other bindings are not read when the database is asked',
    caughtBy: 'bindings/known-bindings',
    file: known,
    find: 'if (row?.digest === known.digest) return known',
    replace: 'if (row?.digest !== undefined) return known',
  },
]

/** Mistakes in what the cache does with bindings. */
const inCore = [
  {
    name: 'a set of a bound key is accepted',
    ...whileChanging,
    file: 'src/core/writes/direct-writes.ts',
    find: `    const { state, delivery, statements, bindings, clock } = this.#parts
    requireUnbound(bindings, key)`,
    replace: `    const { state, delivery, statements, bindings, clock } = this.#parts
    void bindings`,
  },
  {
    name: 'a delete of a bound key is accepted',
    ...whileChanging,
    file: 'src/core/writes/direct-writes.ts',
    find: `    const { state, pending, delivery, statements, bindings } = this.#parts
    requireUnbound(bindings, key)`,
    replace: `    const { state, pending, delivery, statements, bindings } = this.#parts
    void bindings`,
  },
  {
    name: 'a conditional write of a bound key is accepted',
    ...whileChanging,
    file: 'src/core/writes/direct-writes.ts',
    find: `    const { state, delivery, statements, contests, bindings, clock } = this.#parts
    requireUnbound(bindings, key)`,
    replace: `    const { state, delivery, statements, contests, bindings, clock } = this.#parts
    void bindings`,
  },
  {
    name: 'an atomic batch may contain a bound key',
    ...whileChanging,
    file: 'src/core/writes/transactional-writes.ts',
    find: '    for (const { key } of writes) requireUnbound(bindings, key)\n',
    replace: '    for (const { key } of writes.slice(0, 0)) requireUnbound(bindings, key)\n',
  },
  {
    name: 'a write of a bound key is answered with 403',
    ...refusedWrites,
    file: 'src/http/routes/problems/problem-kinds.ts',
    find: "'bound-key': 409",
    replace: "'bound-key': 403",
  },
  {
    name: 'the refusal of a write does not name the binding',
    ...refusedWrites,
    file: 'src/core/bindings/require-unbound.ts',
    find: `The key is bound to rows of tables by \${text}: change`,
    replace: 'The key is bound to rows of tables: change',
  },
  {
    name: 'a key with more parts than the pattern is covered',
    caughtBy: 'key-pattern',
    file: 'src/core/bindings/key-pattern.ts',
    find: '(colon === -1) !== (index === last) ||',
    replace: '(colon === -1 && index < last) ||',
  },
  {
    name: 'a text of the pattern need not be in the key',
    caughtBy: 'key-pattern',
    file: 'src/core/bindings/key-pattern.ts',
    find: ' || !key.startsWith(literal, start)) return false',
    replace: ') return false',
  },
  {
    name: 'a part of the key may go on after the text of the pattern',
    caughtBy: 'key-pattern',
    file: 'src/core/bindings/key-pattern.ts',
    find: 'if (column === undefined && from !== end) return false',
    replace: 'if (column === undefined && from > end) return false',
  },
  {
    name: 'another fingerprint of a binding is ignored',
    caughtBy: 'seen-bindings',
    file: 'src/core/bindings/seen-bindings.ts',
    find: 'before.get(pattern.text)?.fingerprint !== fingerprint',
    replace: '!before.has(pattern.text) && fingerprint !== undefined',
  },
  {
    name: 'the end of a binding is ignored',
    caughtBy: 'seen-bindings',
    file: 'src/core/bindings/seen-bindings.ts',
    find: 'return [...gone, ...changed]',
    replace: 'return [...gone.slice(0, 0), ...changed]',
  },
  {
    name: 'entries stay when their binding changes',
    ...whileChanging,
    file: state,
    find: '    this.#entries.dropWhere(isCovered)\n',
    replace: '',
  },
  {
    name: 'absences stay when their binding changes',
    ...whileChanging,
    file: state,
    find: '    this.#absences.dropWhere(isCovered)\n',
    replace: '',
  },
  {
    name: 'a fill puts what its key stood for before it was bound',
    ...whileChanging,
    file: state,
    find: `    // Flights may have been answered by what the keys stood for before.
    this.#parts.lease.stopFlights()
`,
    replace: '',
  },
  {
    name: 'a read joins a fill from before its key was bound',
    ...whileChanging,
    file: state,
    find: `    this.#parts.lease.stopFlights()
    this.#flights.doubted()
    this.#parts.contests.allChanged()`,
    replace: `    this.#parts.lease.stopFlights()
    this.#parts.contests.allChanged()`,
  },
  {
    name: 'a pending write of a key that is bound now stays',
    ...whileChanging,
    file: follower,
    find: '      delivery.drop(id)\n      stats.pendingConflicts++\n      const reason',
    replace: '      void [delivery, id]\n      stats.pendingConflicts++\n      const reason',
  },
  {
    name: 'pending writes of other keys are given up with those of bound ones',
    ...whileChanging,
    file: follower,
    find: 'const binding = bindingOf(bindings, key)',
    replace: 'const binding = bindingOf(bindings, key) ?? bindings[0]',
  },
  {
    name: 'a bound key is read from a replica',
    ...whileChanging,
    file: 'src/core/reads/fills.ts',
    find: 'if (replicaReads === undefined || bindings.of(item.key)) return undefined',
    replace: 'if (replicaReads === undefined || (bindings.of(item.key) && false)) return undefined',
  },
  {
    name: 'bindings are taken for changes of a key',
    caughtBy: 'bindings/inspections',
    tests: 'brings the inspection forward',
    file: 'src/postgres/feed/feed.ts',
    find: "if (change.kind === 'bindings') onBindings()",
    replace: "if (change.kind === 'bindings') void onBindings",
  },
]

export const bindingMutants = [...inDatabase, ...inInspection, ...inReads, ...inCore]
