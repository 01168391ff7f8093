-- Bindings: keys that are answered from the rows of a table of the application (docs/protocol.md, P16).
--
--   select cache_bind('public.products', key => 'product:{id}');
--
-- A binding has triggers on its table, which announce the keys of the rows that a statement has changed, under their
-- old and their new key: through an outbox (sql/0012_outbox.sql), or at each commit. They announce no version: a sidecar
-- that receives such a change drops the key, and puts no answer to a read that began before it. The version of a bound
-- row is a hash of its content, which only a read knows.

create table cache_bound_tables (
  -- The form of the keys, with the names of columns in braces: 'order:{tenant}:{id}'.
  pattern text primary key,
  bound regclass not null,
  -- The qualified name of the table when it was bound. If another table has this name now, the two were swapped.
  table_name text not null,
  key_columns text[] not null,
  -- Columns of the answer; null for all.
  columns text[],
  group_name text,
  -- The way to announce changes: 'outbox', or 'notify' for a notification at each commit.
  announce text not null,
  -- Counts invalidations of the whole binding, at which sidecars drop what they hold of it.
  invalidations bigint not null default 0
);

-- Like the catalogues of PostgreSQL, everybody may read it. Every sidecar does so with each probe.
grant select on cache_bound_tables to public;
select cache_copy_grants('update (invalidations) on cache_bound_tables', array['delete']);

-- Announces that there are other bindings. A sidecar would see that with its next probe, and sends it now.
create function cache_announce_bindings() returns trigger
  language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify(
    'caching_layer_' || left(md5(tg_table_schema::text || '.cache_entries'), 16),
    '["' || chr(92) || 'u0000bindings","1"]'
  );
  return null;
end
$$;

create trigger cache_bound_tables_changed after insert or update or delete or truncate on cache_bound_tables
  for each statement execute function cache_announce_bindings();

-- --- Patterns ---

-- Returns true if a key can match both patterns. A value in a key never contains a colon, so the parts between colons
-- can be compared one by one.
create function cache_patterns_overlap(one text, other text) returns boolean
  language sql immutable
  return (
    select count(*) filter (where not case
        when a like '%{%' and b like '%{%'
          then starts_with(split_part(a, '{', 1), split_part(b, '{', 1))
            or starts_with(split_part(b, '{', 1), split_part(a, '{', 1))
        when a like '%{%' then starts_with(b, split_part(a, '{', 1))
        when b like '%{%' then starts_with(a, split_part(b, '{', 1))
        else a = b
      end) = 0
    from unnest(string_to_array(one, ':'), string_to_array(other, ':')) as parts (a, b)
    having bool_and(a is not null and b is not null)
  ) is true;

-- Returns the names in a pattern. Raises an error if it is none.
create function cache_names_in(pattern text) returns text[]
  language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
declare
  names text[];
begin
  if pattern is null or length(pattern) > 200
    or pattern !~ '^[^{}%:[:cntrl:]]+([{][^{}:]+[}])?(:[^{}%:[:cntrl:]]*([{][^{}:]+[}])?)*$'
    or pattern !~ '[{]'
  then
    raise invalid_parameter_value using message = format('%L is not a pattern of keys', pattern),
      hint = 'Write columns in braces, after a text and at the end of each part: product:{id}, order:{tenant}:{id}.';
  end if;
  names := array(select piece[1] from regexp_matches(pattern, '[{]([^{}]+)[}]', 'g') as piece);
  if cardinality(names) <> (select count(distinct name) from unnest(names) as name) then
    raise invalid_parameter_value using message = format('%L names a column twice', pattern);
  end if;
  return names;
end
$$;

-- Keeps other bindings from being made until the transaction ends. Raises an error if one of them has a pattern that
-- can match the same keys, or while sidecars listen that would answer the keys of any binding from cache_entries.
create function cache_begin_binding(schema text, pattern text) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  other text;
begin
  if exists (
    select from pg_stat_activity where datname = current_database() and application_name = 'caching-layer feed'
  ) then
    raise object_in_use using message = 'sidecars that do not know bindings are connected',
      hint = 'Upgrade all sidecars of this database first.';
  end if;
  execute format('lock table %s.cache_bound_tables in share row exclusive mode', schema);
  execute format(
    'select key from %1$s.cache_bindings where key <> $1 and %1$s.cache_patterns_overlap(key, $1) limit 1', schema
  ) into other using cache_begin_binding.pattern;
  if other is not null then
    raise invalid_parameter_value using message =
      format('%s and %s can match the same key', cache_begin_binding.pattern, other),
      hint = format('Begin one of them with another text, or unbind %s first.', other);
  end if;
end
$$;

-- Returns SQL of type text for the key of a row. `source` comes before the names of its columns: 'new.', or ''. In a
-- text, '%' and ':' are written as '%25' and '%3A', so that each key has one spelling. The collation "C" keeps texts
-- apart that another one takes for equal, and that are two keys. A date is written by the session's DateStyle, which
-- must be ISO.
--
-- A value becomes a text by the output function of its type, and not by a cast: the owner of the table can give a column
-- another type, and that type a cast of his own, which would run with the rights of the triggers' function.
create function cache_key_expression(bound regclass, pattern text, source text) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
begin
  return (
    select string_agg(
      quote_literal(literal) || '::pg_catalog.text' || coalesce(' operator(pg_catalog.||) ' || case
        when atttypid in ('text'::regtype, 'varchar'::regtype)
          then format(
            'case when %1$s%2$I is not null then pg_catalog.replace(pg_catalog.replace(
               pg_catalog.concat(%1$s%2$I) collate pg_catalog."C", ''%%'', ''%%25''), '':'', ''%%3A'') end',
            source, column_name
          )
        when column_name is not null
          then format('case when %1$s%2$I is not null then pg_catalog.concat(%1$s%2$I) end', source, column_name)
      end, ''),
      ' operator(pg_catalog.||) ' order by position
    )
    from (
      select piece[1] as literal, piece[2] as column_name, position
      from regexp_matches(cache_key_expression.pattern, '([^{}]*)(?:[{]([^{}]+)[}]|$)', 'g')
        with ordinality as matches (piece, position)
      where piece[1] <> '' or piece[2] is not null
    ) as pieces
      left join pg_attribute on attrelid = cache_key_expression.bound::oid and attname = column_name
  );
end
$$;

-- Returns SQL of type text for a JSON array of columns of a row, each as a text. `source` comes before their names. A
-- column becomes a text as in a key.
create function cache_columns_expression(columns text[], source text) returns text
  language sql immutable set search_path = pg_catalog, pg_temp
  return 'pg_catalog.json_build_array(' || coalesce((
    select string_agg(format('case when %1$s%2$I is not null then pg_catalog.concat(%1$s%2$I) end', source, name),
      ', ' order by position)
    from unnest(columns) with ordinality as given (name, position)
  ), '') || ')::pg_catalog.text';

-- --- Triggers ---

-- Raises an error if changes of a table cannot be announced, or if the caller does not own it.
create function cache_require_table(schema text, bound regclass) returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  kinds constant jsonb := '{"v": "a view", "m": "a materialized view", "f": "a foreign table", "i": "an index",
    "S": "a sequence", "c": "a composite type", "t": "a TOAST table", "I": "an index"}';
  relation record;
begin
  if bound is null then
    raise undefined_table using message = 'the table is NULL',
      hint = 'to_regclass() returns NULL if no table has the name.';
  end if;
  select relkind, relpersistence, relispartition, nspname,
    format('%I.%I', nspname, relname) as name,
    pg_has_role(relowner, 'usage') as is_own,
    exists (select from pg_inherits where inhrelid = pg_class.oid or inhparent = pg_class.oid) as has_relatives,
    (
      with recursive part (id) as (
        select pg_class.oid union select inhrelid from pg_inherits join part on inhparent = part.id
      )
      select part.id::regclass from part join pg_class as leaf on leaf.oid = part.id where leaf.relkind = 'f' limit 1
    ) as foreign_part
  into relation
  from pg_class join pg_namespace on pg_namespace.oid = relnamespace
  where pg_class.oid = cache_require_table.bound::oid;
  if relation is null then
    raise undefined_table using message = format('there is no table %s', cache_require_table.bound);
  elsif relation.relkind not in ('r', 'p') then
    raise wrong_object_type using message =
      format('%s is %s, and cannot be bound', relation.name, kinds ->> relation.relkind::text),
      hint = 'Bind the tables that it reads.';
  elsif relation.relpersistence = 't' then
    raise wrong_object_type using message = format('%s is a temporary table, which no sidecar can read', relation.name);
  elsif relation.relispartition then
    raise wrong_object_type using message = format('%s is a partition, and cannot be bound alone', relation.name),
      hint = 'Bind the partitioned table.';
  elsif relation.relkind = 'r' and relation.has_relatives then
    raise wrong_object_type using message =
      format('%s has parents or children by inheritance, and cannot be bound', relation.name),
      detail = 'A statement on a child does not fire the triggers of its parent.';
  elsif relation.foreign_part is not null then
    raise wrong_object_type using message =
      format('%s has the foreign table %s as a partition, and cannot be bound', relation.name, relation.foreign_part),
      detail = 'Changes of a foreign table that others make cannot be announced.';
  elsif relation.nspname in ('pg_catalog', 'information_schema') or exists (
    select from pg_class
    where oid = cache_require_table.bound::oid and relnamespace = schema::regnamespace::oid
      and relname in (
        'cache_entries', 'cache_bound_queries', 'cache_bound_tables', 'cache_dependencies', 'cache_leases',
        'cache_marks', 'cache_migrations', 'cache_outbox', 'cache_sweeper'
      )
  ) then
    raise wrong_object_type using message = format('%s cannot be bound', relation.name),
      hint = 'It belongs to PostgreSQL or to the cache. Bind a table of your own.';
  elsif not relation.is_own then
    raise insufficient_privilege using message =
      format('only the owner of %s can bind it, and %I is not', relation.name, current_user);
  end if;
end
$$;

-- Returns SQL for the keys of those rows of a transition table, `changed` or `before`, that have one.
--
-- A statement must not fail because of the cache, of which its writer may not know, if a column was renamed or dropped.
-- So the names of columns are looked up where they can always be found: in that table, or else in `missing`, outside of
-- the subquery. A column that is found there has the type boolean, which no column of a key has. The key is null then.
create function cache_keys_in(rows text, columns text[], key_expression text) returns text
  language sql immutable set search_path = pg_catalog, pg_temp
  return format(
    'select rows.key
     from (select %s) as missing cross join lateral (select case when %s then %s end as key from %s where %s) as rows',
    (select string_agg(format('false as %I', name), ', ') from unnest(columns) as name),
    (select string_agg(format('pg_typeof(%I) <> ''boolean''::regtype', name), ' and ') from unnest(columns) as name),
    key_expression,
    rows,
    (select string_agg(format('%I is not null', name), ' and ') from unnest(columns) as name)
  );

-- Creates the function `name` that announces changes of the rows of a table, and its triggers.
--
-- Through the outbox, each changed row is announced by itself. That is the cheapest way for a statement that changes a
-- row or two, because PostgreSQL need not collect the rows for a statement trigger.
--
-- With 'notify', each statement announces up to 10,000 rows by their keys, and more as `*`. Rows applied by logical
-- replication fire row triggers only. On a partitioned table, changes are announced row by row as well, because a
-- statement on a partition does not fire its parent's statement triggers.
--
-- With a mapping, the columns that `pattern` names go through the outbox, and the drain maps them to keys.
create function cache_watch_rows(schema text, name text, bound regclass, pattern text, announce text, mapping text)
  returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  is_partitioned constant boolean := (select relkind = 'p' from pg_class where oid = bound::oid);
  is_outbox constant boolean := announce = 'outbox';
  columns constant text[] := array(
    select piece[1] from regexp_matches(pattern, '[{]([^{}]+)[}]', 'g') as piece
  );
  virtual_column text;
  other_cache text;
  has_date boolean;
  body text;
  watching record;
begin
  execute format(
    'select quote_ident(nspname) from pg_trigger join pg_proc on pg_proc.oid = tgfoid
       join pg_namespace on pg_namespace.oid = pronamespace
     where tgrelid = $1 and tgname = $2 and pronamespace <> %L::regnamespace limit 1', schema
  ) into other_cache using bound::oid, name || '_truncated';
  if other_cache is not null then
    raise object_in_use using
      message = format('the cache in the schema %s has bound %s to the same pattern', other_cache, bound),
      hint = 'Choose another text at the beginning of the pattern.';
  end if;
  select attname into virtual_column
  from pg_attribute where attrelid = bound::oid and attname = any(columns) and attgenerated = 'v' limit 1;
  if virtual_column is not null then
    raise feature_not_supported using
      message = format('the column %I of %s is generated when it is read, and its triggers do not have its value',
        virtual_column, bound),
      hint = 'Make it a stored column.';
  end if;
  select coalesce(bool_or(atttypid = 'date'::regtype), false) into has_date
  from pg_attribute where attrelid = bound::oid and attname = any(columns);

  execute format('select %s.%I($1, $2, $3, $4, $5)', schema,
    case when is_outbox then 'cache_storing_body' else 'cache_notifying_body' end)
    into body using schema, bound, pattern, columns, mapping;
  execute format('create or replace function %s.%I() returns trigger language plpgsql %s %s as %L', schema, name,
    case when is_outbox then 'security definer' else 'security invoker set search_path = pg_catalog, pg_temp' end,
    case when has_date then 'set datestyle = ''ISO, YMD''' end,
    body);
  if is_outbox then
    -- Nobody else may use it for a trigger.
    execute format('revoke execute on function %s.%I() from public', schema, name);
  end if;

  for watching in
    select * from (values
      ('truncated', 'truncate', 'for each statement', 'enable always'),
      ('row', 'insert or update or delete', 'for each row',
        case when is_outbox or is_partitioned then 'enable always' else 'enable replica' end),
      -- It never fires. Because of its condition, PostgreSQL refuses to drop the columns of the key, or to change their
      -- types, as it does with the columns of a view. If one is renamed, the trigger still leads to it.
      ('columns', 'update', format('for each row when (false%s)',
        (select string_agg(format(' and new.%I is null', column_name), '') from unnest(columns) as column_name)), 'disable'),
      ('inserted', 'insert', 'referencing new table as changed for each statement', 'enable always'),
      ('updated', 'update', 'referencing old table as before new table as changed for each statement', 'enable always'),
      ('deleted', 'delete', 'referencing old table as changed for each statement', 'enable always')
    ) as triggers (ending, event, what, state)
    where ending in ('truncated', 'row', 'columns') or not is_outbox and not is_partitioned
  loop
    execute format('create or replace trigger %I after %s on %s %s execute function %s.%I()',
      name || '_' || watching.ending, watching.event, bound, watching.what, schema, name);
    execute format('alter table %s %s trigger %I', bound, watching.state, name || '_' || watching.ending);
  end loop;
end
$$;

-- Returns the body of a function that stores the keys of a changed row in the outbox: the key, and the former key if it
-- was another one. A key is null if a column of it is; no sidecar asks for such a row.
--
-- A writer of the table may not insert into the outbox, so the function does that with the rights of its owner. Each
-- single row pays for every expression in it, and for a search path of its own. So it has none, and every name and
-- operator in it has its schema: a writer could have another one with the same name in his search path.
--
-- It inserts at once if the outbox has the name and the oid from when the table was bound. If the schema was renamed, or
-- the database was restored from a dump, the function looks for its own schema, which takes several times as long. Another
-- cache may have the name or the oid by then: after a restore beside a schema that was renamed, it has both.
create function cache_storing_body(schema text, bound regclass, pattern text, columns text[], mapping text) returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  outbox constant text := schema || '.cache_outbox';
  of_new text;
  of_old text;
begin
  if mapping is null then
    execute format('select %1$s.cache_key_expression($1, $2, $3), %1$s.cache_key_expression($1, $2, $4)', schema)
      into of_new, of_old using bound, pattern, 'new.', 'old.';
  else
    execute format('select %1$s.cache_columns_expression($1, $2), %1$s.cache_columns_expression($1, $3)', schema)
      into of_new, of_old using columns, 'new.', 'old.';
    -- Without a row, it would be an array of nulls.
    of_new := format('case when tg_op operator(pg_catalog.~) ''INSERT|UPDATE'' then %s end', of_new);
    of_old := format('case when tg_op operator(pg_catalog.~) ''UPDATE|DELETE'' then %s end', of_old);
  end if;
  return format($body$
declare
  key pg_catalog.text;
  former_key pg_catalog.text;
  is_everything pg_catalog.bool;
  outbox pg_catalog.text;
begin
  begin
    key := %1$s;
    former_key := %2$s;
  -- A column was renamed, or has changed places with one of another type. That must not fail the statement.
  exception when undefined_column or datatype_mismatch then
    is_everything := true;
    key := null;
  end;
  if coalesce(key, former_key) is not null
    and pg_catalog.to_regclass(%3$L)::pg_catalog.oid operator(pg_catalog.=) %4$L::pg_catalog.oid
  then
    insert into %3$s (key%5$s) values (coalesce(key, former_key)%6$s);
    if former_key operator(pg_catalog.<>) key then
      insert into %3$s (key%5$s) values (former_key%6$s);
    end if;
  elsif is_everything or tg_op operator(pg_catalog.=) 'TRUNCATE' or coalesce(key, former_key) is not null then
    select pg_catalog.format('%%I.cache_outbox', nspname) into outbox
    from pg_catalog.pg_trigger
      join pg_catalog.pg_proc on pg_proc.oid operator(pg_catalog.=) tgfoid
      join pg_catalog.pg_namespace on pg_namespace.oid operator(pg_catalog.=) pronamespace
    where tgrelid operator(pg_catalog.=) tg_relid and tgname operator(pg_catalog.=) tg_name;
    -- The snapshot of the transaction may be older than the binding, or than the name of the schema.
    if pg_catalog.to_regclass(outbox) is null then
      outbox := %4$L::pg_catalog.regclass;
    end if;
    execute pg_catalog.format(
      'insert into %%s (key, mapping)
       select key, $2 from pg_catalog.unnest($1) as item (key) where key is not null
       union all select null, null where $3',
      outbox
    ) using
      array[coalesce(key, former_key), case when former_key operator(pg_catalog.<>) key then former_key end],
      %7$L::pg_catalog.text,
      coalesce(key, former_key) is null;
  end if;
  return null;
end
$body$,
    of_new, of_old, outbox, outbox::regclass::oid, case when mapping is not null then ', mapping' end,
    ', ' || quote_literal(mapping), mapping
  );
end
$$;

-- Returns the body of a function that notifies sidecars of the keys of the rows that a statement has changed, or of a
-- single row.
create function cache_notifying_body(schema text, bound regclass, pattern text, columns text[], mapping text)
  returns text
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  of_rows text;
  of_rows_before text;
  of_new text;
  of_old text;
begin
  execute format(
    'select %1$s.cache_keys_in(''changed'', $3, %1$s.cache_key_expression($1, $2, '''')),
       %1$s.cache_keys_in(''before'', $3, %1$s.cache_key_expression($1, $2, '''')),
       %1$s.cache_key_expression($1, $2, ''new.''), %1$s.cache_key_expression($1, $2, ''old.'')', schema
  ) into of_rows, of_rows_before, of_new, of_old using bound, pattern, columns;
  return format($body$
-- For columns of the table with the name of a variable.
#variable_conflict use_column
declare
  keys text[];
  own_schema text;
  is_everything boolean := false;
begin
  -- The schema while it has its name, and otherwise that of this function. A writer whose rights the function has may
  -- not use the schema, and may not look up a name in it.
  own_schema := case when exists (select from pg_namespace where oid = %5$L::oid and nspname = %6$L) then %6$L else (
    select nspname::text
    from pg_trigger join pg_proc on pg_proc.oid = tgfoid join pg_namespace on pg_namespace.oid = pronamespace
    where tgrelid = tg_relid and tgname = tg_name
  ) end;
  -- The snapshot of the transaction may be older than the binding.
  own_schema := coalesce(own_schema, %6$L);
  if tg_op = 'TRUNCATE' then
    is_everything := true;
  elsif tg_level = 'STATEMENT' then
    if tg_op = 'UPDATE' then
      keys := array(%1$s union %2$s limit 10001);
    else
      keys := array(%1$s limit 10001);
    end if;
    is_everything := cardinality(keys) > 10000 or array_position(keys, null) is not null;
  else
    begin
      if tg_op <> 'DELETE' then keys := array[%3$s]; end if;
      if tg_op <> 'INSERT' then keys := keys || array[%4$s]; end if;
      keys := array_remove(keys, null);
    exception when undefined_column or datatype_mismatch then
      is_everything := true;
    end;
  end if;
  if is_everything then
    perform pg_notify('caching_layer_' || left(md5(own_schema || '.cache_entries'), 16), '*');
    return null;
  end if;
  -- A payload must stay below 8,000 bytes, see cache_announce().
  perform pg_notify(
    'caching_layer_' || left(md5(own_schema || '.cache_entries'), 16), '[' || string_agg(change, ',') || ']'
  )
  from (
    select change, sum(octet_length(change) + 1) over (rows unbounded preceding) / 4700 as page
    from (
      select case
        when octet_length(key) > 128 and octet_length(convert_to(key, 'UTF8')) > 512
          then '"' || chr(92) || 'u0000' || encode(sha256(convert_to(key, 'UTF8')), 'hex') || '"'
        else to_json(key)::text
      end || ',"1"'
      from unnest(keys) as key
    ) as announced (change)
  ) as paged
  group by page;
  return null;
end
$body$,
    of_rows, of_rows_before, of_new, of_old, schema::regnamespace::oid, (parse_ident(schema))[1]
  );
end
$$;

-- Drops what cache_watch_rows() has created. The table may be gone.
--
-- A trigger cannot be dropped while others read the table. So nothing is dropped if cache_watch_rows() is about to
-- replace it: for `next`, which is the same table, and if the function already has the right owner. But the outbox has no
-- use for the triggers for statements that notify.
--
-- To drop a trigger locks partitions before their table, which writers lock first. So the table is locked before.
create function cache_unwatch_rows(schema text, name text, bound regclass, next regclass, announce text) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  trigger_name text;
begin
  if next::oid = bound::oid and exists (
    select from pg_proc
    where pronamespace = schema::regnamespace::oid and proname = name and pronargs = 0
      and pg_get_userbyid(proowner) = current_user and (prosecdef or cache_unwatch_rows.announce = 'notify')
  ) then
    return;
  end if;
  if exists (select from pg_class where oid = bound::oid) then
    execute format('lock table %s in access exclusive mode', bound);
  end if;
  -- Their function tells them from triggers of another cache, whose names may begin with this one.
  for trigger_name in
    select tgname from pg_trigger join pg_proc on pg_proc.oid = tgfoid
    where tgrelid = bound::oid and not tgisinternal
      and proname = cache_unwatch_rows.name and pronamespace = schema::regnamespace::oid
  loop
    execute format('drop trigger %I on %s', trigger_name, bound);
  end loop;
  execute format('drop function if exists %s.%I()', schema, name);
end
$$;

-- --- Changes without a change of rows ---

-- Announces a definition that can change what bound keys stand for: of a table, a policy or a type. Without it,
-- sidecars notice that within a minute. An error here must not be one of the statement.
create function cache_announce_definition() returns event_trigger
  language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
declare
  context text;
  table_schema text;
  is_bound boolean;
begin
  get diagnostics context = pg_context;
  table_schema := (parse_ident(
    substring(context from '((?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")[.]"?cache_announce_definition"?)[(]')
  ))[1];
  execute format(
    'select exists (
       select from pg_event_trigger_ddl_commands() as command
       where classid in (''pg_type''::regclass::oid, ''pg_policy''::regclass::oid) and exists (
         select from %1$I.cache_bound_tables union all select from %1$I.cache_bound_queries
       ) or (object_type = ''view'' or classid = ''pg_proc''::regclass::oid) and exists (
         select from %1$I.cache_bound_queries
       ) or classid = ''pg_class''::regclass::oid and exists (
         select from (
           select bound from %1$I.cache_bound_tables union all select bound from %1$I.cache_dependencies
         ) as watched
         where command.objid = bound::oid or exists (
           with recursive part (id) as (
             select bound::oid union select inhrelid from pg_inherits join part on inhparent = part.id
           )
           select from part where part.id = command.objid
         )
       )
     )',
    table_schema
  ) into is_bound;
  -- An older snapshot does not show all bindings.
  if is_bound or current_setting('transaction_isolation') <> 'read committed' then
    perform pg_notify(
      'caching_layer_' || left(md5(table_schema || '.cache_entries'), 16), '["' || chr(92) || 'u0000bindings","1"]'
    );
  end if;
exception when others then
  return;
end
$$;

-- Creates the event trigger if the role may do that, as superusers may. The function must be the role's own, because it
-- runs with the rights of whoever alters a table.
create function cache_watch_definitions(schema text) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  name constant text := 'caching_layer_' || left(md5(schema), 8);
begin
  if exists (select from pg_event_trigger where evtname = name) or not exists (
    select from pg_proc
    where proname = 'cache_announce_definition' and pronamespace = schema::regnamespace::oid
      and pg_get_userbyid(proowner) = current_user
  ) then
    return;
  end if;
  execute format(
    'create event trigger %I on ddl_command_end execute function %s.cache_announce_definition()', name, schema
  );
exception when insufficient_privilege then
  return;
end
$$;

-- --- Binding ---

-- Locks the tables of a binding, and before that of its former binding. It comes before cache_begin_binding(): a
-- transaction that has written a table may then call cache_invalidate_group(), which writes what that function locks.
-- A table that the caller cannot bind is left out: a later check says why.
create function cache_lock_tables(schema text, pattern text, tables regclass[]) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  former oid[];
  bound regclass;
begin
  execute format(
    'select array(
       select bound::oid from %1$s.cache_bound_tables where pattern = $1
       union all select bound::oid from %1$s.cache_dependencies where pattern = $1
     )', schema
  ) into former using cache_lock_tables.pattern;
  for bound in
    select oid::regclass from pg_class
    where oid = any(former || cache_lock_tables.tables::oid[]) and relkind in ('r', 'p')
      and pg_has_role(relowner, 'usage')
    order by oid
  loop
    -- Its triggers may have to be dropped, which keeps readers out as well: cache_unwatch_rows().
    execute format('lock table %s in %s mode', bound,
      case when bound::oid = any(cache_lock_tables.tables::oid[]) then 'share row exclusive' else 'access exclusive' end);
  end loop;
end
$$;

-- Binds a table to keys. A binding of the same pattern is replaced. The caller must own the table, and may create
-- functions in this schema and write cache_bound_tables, as the owner of cache_entries may.
--
-- Changes are announced through the outbox, or with 'notify' by a notification at each commit, which costs writers more
-- and reaches sidecars sooner.
--
-- Until the transaction ends, others can read the table, but not write it: a change that nobody announces must not
-- commit after the binding is there. They cannot read it either if triggers have to be dropped: when 'notify' becomes
-- 'outbox', or another role binds the table again.
create function cache_bind(bound regclass, key text, columns text[] default null, in_group text default null,
    announce text default 'outbox')
  returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  context text;
  schema text;
  announcer constant text := 'cache_announce_' || left(md5(cache_bind.key), 12);
  types constant oid[] := '{text,varchar,int2,int4,int8,uuid,date}'::regtype[]::oid[];
  names text[];
  missing text;
  name text;
  before regclass;
begin
  get diagnostics context = pg_context;
  schema := substring(context from '([a-z_][a-z0-9_]*|"(?:[^"]|"")+")[.]"?cache_bind"?[(]');

  execute format('select %s.cache_require_table($1, $2)', schema) using schema, cache_bind.bound;
  execute format('select %s.cache_lock_tables($1, $2, $3)', schema)
    using schema, cache_bind.key, array[cache_bind.bound];
  select format('%I.%I', nspname, relname) into name
  from pg_class join pg_namespace on pg_namespace.oid = relnamespace where pg_class.oid = cache_bind.bound::oid;

  if cache_bind.announce is null or cache_bind.announce not in ('outbox', 'notify') then
    raise invalid_parameter_value using message =
      format('%L is not a way to announce changes', cache_bind.announce), hint = 'There are two: outbox and notify.';
  end if;
  execute format('select %s.cache_names_in($1)', schema) into names using cache_bind.key;
  if cardinality(cache_bind.columns) = 0 or array_position(cache_bind.columns, null) is not null
    or cardinality(cache_bind.columns) <> (
      select count(distinct column_name) from unnest(cache_bind.columns) as column_name
    )
  then
    raise invalid_parameter_value using message = 'the list of columns is empty, or has a column twice',
      hint = 'Leave it out to answer with all columns.';
  end if;
  select column_name into missing from unnest(names || cache_bind.columns) as column_name
  where not exists (
    select from pg_attribute
    where attrelid = cache_bind.bound::oid and attname = column_name and attnum > 0 and not attisdropped
  )
  limit 1;
  if missing is not null then
    raise undefined_column using message = format('%s has no column %I', name, missing);
  end if;
  select format('%I of type %s', attname, format_type(atttypid, null)) into missing
  from pg_attribute
  where attrelid = cache_bind.bound::oid and attname = any(names) and atttypid <> all(types);
  if missing is not null then
    raise datatype_mismatch using message = format('the column %s cannot be part of a key', missing),
      hint = 'These types can: text, varchar, smallint, integer, bigint, uuid, date.';
  end if;
  if not exists (
    select from pg_index
    where indrelid = cache_bind.bound::oid and indisunique and indisvalid and indimmediate and indpred is null
      and indexprs is null and not exists (
        select from unnest((indkey::smallint[])[0:indnkeyatts - 1]) as number
          left join pg_attribute on attrelid = indrelid and attnum = number
        where attname is null or attname <> all(names)
      )
      -- Another collation can take two rows for different that the comparison of the column takes for equal.
      and not exists (
        select from unnest((indkey::smallint[])[0:indnkeyatts - 1], indcollation::oid[]) as part (number, collation_id)
          join pg_attribute on attrelid = indrelid and attnum = part.number
        where collation_id <> attcollation
      )
  ) then
    raise invalid_parameter_value using message =
      format('%s has no unique index on %s', name, array_to_string(names, ', ')),
      detail = 'Without one, two rows could have the same key.',
      hint = format('create unique index concurrently on %s (%s); '
          'or, for several rows with one key, bind a query of them: cache_bind_query(..., many => true)', name,
        (select string_agg(quote_ident(column_name), ', ') from unnest(names) as column_name));
  end if;

  execute format('select %s.cache_begin_binding($1, $2)', schema) using schema, cache_bind.key;
  execute format('select bound from %s.cache_bound_tables where pattern = $1', schema) into before using cache_bind.key;
  if before is not null then
    execute format('select %s.cache_unwatch_rows($1, $2, $3, $4, $5)', schema)
      using schema, announcer, before, cache_bind.bound, cache_bind.announce;
  end if;
  execute format('select %s.cache_unwatch_query($1, $2)', schema) using schema, cache_bind.key;
  execute format('select %s.cache_end_query($1, $2)', schema) using schema, cache_bind.key;
  execute format('select %s.cache_watch_rows($1, $2, $3, $4, $5, null)', schema)
    using schema, announcer, cache_bind.bound, cache_bind.key, cache_bind.announce;
  execute format(
    'insert into %s.cache_bound_tables (pattern, bound, table_name, key_columns, columns, group_name, announce)
     values ($1, $2, $3, $4, $5, $6, $7)
     on conflict (pattern) do update
       set bound = excluded.bound, table_name = excluded.table_name, key_columns = excluded.key_columns,
         columns = excluded.columns, group_name = excluded.group_name, announce = excluded.announce',
    schema
  ) using cache_bind.key, cache_bind.bound, name, names, cache_bind.columns, cache_bind.in_group,
    cache_bind.announce;
  execute format('select %s.cache_watch_definitions($1)', schema) using schema;
end
$$;

-- Ends a binding. Returns false if there was none. Its keys are answered from cache_entries again.
create function cache_unbind(key text) returns boolean
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  context text;
  schema text;
  before regclass;
  is_ended boolean;
begin
  get diagnostics context = pg_context;
  schema := substring(context from '([a-z_][a-z0-9_]*|"(?:[^"]|"")+")[.]"?cache_unbind"?[(]');
  execute format('select %s.cache_lock_tables($1, $2, $3)', schema) using schema, cache_unbind.key, '{}'::regclass[];
  execute format('select bound from %s.cache_bound_tables where pattern = $1', schema)
    into before using cache_unbind.key;
  if before is not null then
    execute format('select %s.cache_unwatch_rows($1, $2, $3, null, null)', schema)
      using schema, 'cache_announce_' || left(md5(cache_unbind.key), 12), before;
  end if;
  execute format('delete from %s.cache_bound_tables where pattern = $1 returning bound', schema)
    into before using cache_unbind.key;
  if before is not null then
    return true;
  end if;
  execute format('select %s.cache_unwatch_query($1, $2)', schema) using schema, cache_unbind.key;
  execute format('select %s.cache_end_query($1, $2)', schema) into is_ended using schema, cache_unbind.key;
  return is_ended;
end
$$;

-- --- Invalidation ---

-- Makes sidecars drop what they hold of bound keys. Without a change of the table, the next reads get the same answers.
create function cache_invalidate_bound(entries regclass, keys text[], groups text[], prefix text, everything boolean)
  returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  table_schema constant text := (
    select nspname::text from pg_class join pg_namespace on pg_namespace.oid = relnamespace
    where pg_class.oid = entries::oid
  );
  bindings text;
  chosen text[];
begin
  execute format(
    'select pg_catalog.pg_notify($2, ''['' || case
        when octet_length(key) > 128 and octet_length(convert_to(key, ''UTF8'')) > 512
          then ''"'' || chr(92) || ''u0000'' || encode(sha256(convert_to(key, ''UTF8'')), ''hex'') || ''"''
        else to_json(key)::text
      end || '',"1"]'')
     from unnest($1) as key
     where exists (
       select from %1$I.cache_bindings as binding (pattern) where starts_with(key, split_part(pattern, ''{'', 1))
     )',
    table_schema
  ) using keys, 'caching_layer_' || left(md5(table_schema || '.cache_entries'), 16);
  foreach bindings in array array['cache_bound_tables', 'cache_bound_queries'] loop
    execute format(
      'select array_agg(pattern order by pattern) from %I.%I
       where $3 or group_name = any($1)
         or starts_with(split_part(pattern, ''{'', 1), $2) or starts_with($2, split_part(pattern, ''{'', 1))',
      table_schema, bindings
    ) into chosen using groups, prefix, everything;
    -- A statement that updates no row would fire the trigger as well.
    if chosen is not null then
      execute format(
        'update %I.%I set invalidations = invalidations + 1 where pattern = any($1)', table_schema, bindings
      ) using chosen;
    end if;
  end loop;
end
$$;

create or replace function cache_invalidate(key text) returns bigint
  language sql volatile
begin atomic
  select cache_invalidate_bound(cache_own_table(), array[cache_invalidate.key], null::text[], null::text, false);
  select pg_catalog.count(*)
  from cache_remove(cache_own_table(), array[cache_invalidate.key], null::text[], null::text, false);
end;

create or replace function cache_invalidate_group(name text) returns bigint
  language sql volatile
begin atomic
  select cache_invalidate_bound(cache_own_table(), null::text[], array[cache_invalidate_group.name], null::text, false);
  select pg_catalog.count(*)
  from cache_remove(cache_own_table(), null::text[], array[cache_invalidate_group.name], null::text, false);
end;

create or replace function cache_invalidate_prefix(prefix text) returns bigint
  language sql volatile
begin atomic
  select cache_invalidate_bound(cache_own_table(), null::text[], null::text[], cache_invalidate_prefix.prefix, false);
  select pg_catalog.count(*)
  from cache_remove(cache_own_table(), null::text[], null::text[], cache_invalidate_prefix.prefix, false);
end;

create or replace function cache_invalidate_all() returns bigint
  language sql volatile
begin atomic
  select cache_invalidate_bound(cache_own_table(), null::text[], null::text[], null::text, true);
  select pg_catalog.count(*) from cache_remove(cache_own_table(), null::text[], null::text[], null::text, true);
end;
