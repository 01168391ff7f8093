-- Bound queries: keys that are answered from a query over tables of the application (docs/protocol.md, P18).
--
--   select cache_bind_query(
--     'film_page:{id}',
--     query => 'select title, (select json_agg(name) from film_actor join actor using (actor_id)
--                              where film_id = f.film_id) as actors
--               from film as f where f.film_id = $1',
--     depends => '{
--       "public.film": "{film_id}",
--       "public.film_actor": "{film_id}",
--       "public.actor": "select film_id from film_actor where actor_id = {actor_id}"
--     }'
--   );
--
-- The query becomes a function, whose body PostgreSQL keeps as a parsed query. So the catalogue knows which tables,
-- views and functions it uses, and a renamed table stays the same table. Each table has triggers like a bound table,
-- for each of its dependencies, which say how a changed row leads to keys: by columns of the row, or by a mapping.
--
-- A mapping is a query, and runs when the outbox is drained. It must not run in the trigger:
--
--   1. T1 renames actor 17. The trigger would map it to film 1.
--   2. T2 inserts film_actor (5, 17), and commits. Its own trigger leads to film 5.
--   3. A sidecar drains, drops film_page:5, and reads it again: with the old name, because T1 has not committed.
--   4. T1 commits. Film 1 is announced. film_page:5 has the old name for ever.
--
-- The drain sees T1 and T2, and its mapping leads to films 1 and 5.

create table cache_bound_queries (
  -- The form of the keys, with names in braces. The value of the first one is $1 of the query.
  pattern text primary key,
  query text not null,
  -- Types of the parameters, in their order.
  parameters regtype[] not null,
  depends jsonb not null,
  -- True if the answer is an array of all rows.
  is_many boolean not null,
  -- Longest time for which an answer is held.
  ttl interval,
  group_name text,
  -- The search path by which the query's names were found.
  names_in text not null,
  invalidations bigint not null default 0
);

-- A way from a changed row of a table to keys of a query.
create table cache_dependencies (
  pattern text not null references cache_bound_queries on delete cascade,
  number integer not null,
  bound regclass not null,
  -- The qualified name of the table when it was bound. If another table has this name now, the two were swapped.
  table_name text not null,
  -- Columns of the row that the way uses.
  columns text[] not null,
  -- True if a query leads from these columns to keys: the function cache_map_..._<number>.
  is_mapped boolean not null,
  primary key (pattern, number)
);

grant select on cache_bound_queries to public;
grant select on cache_dependencies to public;
select cache_copy_grants('update (invalidations) on cache_bound_queries', array['delete']);

create trigger cache_bound_queries_changed after insert or update or delete or truncate on cache_bound_queries
  for each statement execute function cache_announce_bindings();

create or replace view cache_bindings as
  select pattern as key, bound::text as table_name, columns, group_name, announce, null::text as query
  from cache_bound_tables
  union all
  select pattern, null, null, group_name, 'outbox', query from cache_bound_queries;

grant select on cache_bindings to public;

-- --- What a query uses ---

-- Returns everything that a function uses: relations (class pg_class), functions (class pg_proc) and types that are not
-- built in (class pg_type), also through views, and through functions whose body the catalogue has parsed. The class is
-- 0 for the clock or the session (id 0), a sample of rows (1), and a lock of rows (2). pg_depend is not enough, because it leaves out what is built in.
--
-- A body is long, so it is searched once, and not for the types that are built in.
create function cache_uses(query regprocedure) returns table (class oid, id oid)
  language sql stable
begin atomic
  with recursive uses (class, id) as (
    select 'pg_catalog.pg_proc'::regclass::oid, query::oid
    union
    select found.class, found.id
    from uses
      cross join lateral (
        select pg_proc.prosqlbody::text from pg_catalog.pg_proc
        where uses.class = 'pg_catalog.pg_proc'::regclass::oid and pg_proc.oid = uses.id
          and pg_proc.prosqlbody is not null
        union all
        select pg_rewrite.ev_action::text
        from pg_catalog.pg_rewrite join pg_catalog.pg_class on pg_class.oid = pg_rewrite.ev_class
        where uses.class = 'pg_catalog.pg_class'::regclass::oid and pg_class.oid = uses.id and pg_class.relkind = 'v'
          and pg_rewrite.rulename = '_RETURN'
      ) as bodies (body)
      cross join lateral (
        select case
            when named.field = 'relid' then 'pg_catalog.pg_class'::regclass::oid
            when named.field in ('funcid', 'aggfnoid', 'winfnoid', 'opno') then 'pg_catalog.pg_proc'::regclass::oid
            else 'pg_catalog.pg_type'::regclass::oid
          end,
          case when named.field = 'opno' then (
            select pg_operator.oprcode::oid from pg_catalog.pg_operator where pg_operator.oid = named.id
          ) else named.id end
        from (
          select distinct pg_catalog.split_part(match[1], ' ', 1) as field, pg_catalog.split_part(match[1], ' ', 2)::oid as id
          from pg_catalog.regexp_matches(
            body, ':((?:relid|funcid|aggfnoid|winfnoid|opno) [1-9][0-9]*|[a-z_]*type(?:id)? [1-9][0-9]{4,})', 'g'
          ) as match
        ) as named
        union all
        select 0::oid, kind.id::oid
        from (values (0, '{SQLVALUEFUNCTION '), (1, '{TABLESAMPLECLAUSE '), (2, '{ROWMARKCLAUSE '))
          as kind (id, node)
        where pg_catalog.strpos(body, kind.node) > 0
      ) as found (class, id)
  )
  select uses.class, uses.id from uses where uses.id <> query::oid;
end;

-- Returns the relations whose rows a function reads. Views are left out: what they read is there.
create function cache_reads(query regprocedure) returns setof regclass
  language sql stable
begin atomic
  select pg_class.oid::regclass
  from cache_uses(query) as uses join pg_catalog.pg_class on pg_class.oid = uses.id
  where uses.class = 'pg_catalog.pg_class'::regclass::oid and pg_class.relkind <> 'v';
end;

-- Returns those of the given uses, as cache_uses() names them, because of which answers would not stay the same until a
-- row changes, each with the reason in words. A use that is excused by a ttl depends on the clock or the session only.
create function cache_forbidden_uses(classes oid[], ids oid[])
  returns table (class oid, id oid, reason text, is_excused_by_ttl boolean)
  language sql stable
begin atomic
  select uses.class, uses.id, case
      when uses.class = 0 and uses.id = 2 then 'it locks rows (FOR UPDATE, FOR SHARE)'
      when uses.class = 0 and uses.id = 1 then 'it reads a random sample of rows (TABLESAMPLE)'
      when uses.class = 0 then 'it reads the clock or the session (such as CURRENT_DATE or CURRENT_USER), and has no ttl'
      when pg_proc.provolatile = 'v' then pg_catalog.format('it calls %s, which is volatile', pg_proc.oid::regprocedure)
      when pg_proc.pronamespace = 'pg_catalog'::regnamespace::oid then pg_catalog.format(
        'it calls %s, which reads the clock or the session, and has no ttl', pg_proc.oid::regprocedure)
      else pg_catalog.format(
        'it calls %s, which is not immutable, and whose body is not known, and has no ttl', pg_proc.oid::regprocedure)
    end,
    uses.class = 0 and uses.id = 0 or uses.class > 0 and pg_proc.provolatile <> 'v'
  from rows from (pg_catalog.unnest(classes), pg_catalog.unnest(ids)) as uses (class, id)
    left join pg_catalog.pg_proc on pg_proc.oid = uses.id
  where uses.class = 0
    or uses.class = 'pg_catalog.pg_proc'::regclass::oid and (
      pg_proc.provolatile = 'v' or (pg_proc.provolatile = 's' or pg_proc.prokind = 'a') and case
        when pg_proc.pronamespace <> 'pg_catalog'::regnamespace::oid then pg_proc.prosqlbody is null
        -- Other stable functions depend on settings that are fixed while an answer is read.
        when pg_proc.proname = 'age' then pg_proc.pronargs = 1
        -- A time without a date gets the offset that the zone has today.
        when pg_proc.proname = 'timezone' then pg_proc.proargtypes[1] = 'pg_catalog.timetz'::regtype::oid
        when pg_proc.proname ~ 'to_ts(vector|query)$|^ts_match_|^ts_headline$'
          then pg_proc.proargtypes[0] <> 'pg_catalog.regconfig'::regtype::oid
        else pg_proc.proname ~ '^(pg_|has_|inet_|txid_|to_reg|current_|session_|database_to_|schema_to_|table_to_)|^now$'
            '|^(transaction|statement)_timestamp$|^getpgusername$|^system_user$|^get_current_ts_config$|^version$|^mxid_age$'
            '|^row_security_active$|_description$'
          and pg_proc.proname not in ('pg_typeof', 'pg_column_size', 'pg_collation_for')
      end
    );
end;

-- Returns, in words, why answers of a function would not stay the same until a row changes; null if they do. With
-- `may_be_old`, answers may depend on the clock and the session, because they are held for a limited time.
create function cache_forbidden_call(query regprocedure, may_be_old boolean) returns text
  language sql stable
begin atomic
  select forbidden.reason
  from (
      select pg_catalog.array_agg(uses.class) as classes, pg_catalog.array_agg(uses.id) as ids
      from cache_uses(query) as uses
    ) as used cross join lateral cache_forbidden_uses(used.classes, used.ids) as forbidden
  where not (may_be_old and forbidden.is_excused_by_ttl)
  order by forbidden.class, forbidden.id
  limit 1;
end;

-- Returns the names of the columns of the subquery `alias` in the body of a function, as PostgreSQL has parsed them.
create function cache_columns_in(query regprocedure, alias text) returns text[]
  language sql stable
begin atomic
  select array(
    select column_name.match[1]
    from pg_catalog.pg_proc
      cross join lateral pg_catalog.substring(
        pg_proc.prosqlbody::text, ':eref [{]ALIAS :aliasname ' || alias || ' :colnames [(]((?:[^()\\]|\\.)*)[)]'
      ) as list (columns)
      cross join lateral pg_catalog.regexp_matches(list.columns, '"((?:[^"\\]|\\.)*)"', 'g') as column_name (match)
    where pg_proc.oid = query::oid
  );
end;

-- All roles may execute functions, unless that was revoked from public.
select cache_copy_grants(
  'execute on function cache_uses(regprocedure), cache_forbidden_uses(oid[], oid[])',
  array['select', 'insert', 'update', 'delete']
);

-- Returns the types of the parameters of a query, as PostgreSQL derives them. Names are found by the path `names_in`.
create function cache_parameters_of(query text, names_in text) returns regtype[]
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  types regtype[];
begin
  perform set_config('search_path', names_in, true);
  execute pg_catalog.format('prepare cache_query_to_bind as select from (%s%s) as answer', query, E'\n');
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  select parameter_types into types from pg_prepared_statements where name = 'cache_query_to_bind';
  deallocate cache_query_to_bind;
  return types;
exception when indeterminate_datatype then
  raise indeterminate_datatype using message = sqlerrm, hint = 'Write the type of the parameter: $1::integer.';
end
$$;

-- --- Mappings ---

-- Returns the keys to which a mapping leads from changed rows; a null for any key of its binding. The drain calls it. It is stable, so
-- that it sees what the drain sees, and nothing newer:
--
--   1. T1 renames actor 17, who is in film 5. A sidecar holds film_page:5 with the old name.
--   2. A drain begins. It sees the row of T1 in the outbox.
--   3. T2 deletes film_actor (5, 17), and commits. The drain does not see its row in the outbox.
--   4. With a newer snapshot, the mapping would not find film 5. The drain would renew the lease, and film_page:5 would
--      be served with the old name.
--
-- A mapping that fails must not end the drains, so it leads to any key of its binding.
create function cache_dependents(mapping text, changed text[]) returns setof text
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  context text;
  schema text;
begin
  get diagnostics context = pg_context;
  schema := substring(context from '([a-z_][a-z0-9_]*|"(?:[^"]|"")+")[.]"?cache_dependents"?[(]');
  if mapping !~ '^cache_map_[0-9a-f]{12}_[0-9]+$' then
    return next null;
    return;
  end if;
  return query execute format(
    'select distinct key from unnest($1) as item (changed) cross join lateral %s.%I(changed::json) as key limit 10001',
    schema, mapping
  ) using changed;
exception when others or assert_failure then -- others leaves that out
  return next null;
end
$$;

revoke execute on function cache_dependents(text, text[]) from public;
select cache_copy_grants('execute on function cache_dependents(text, text[])', array['select']);

-- Creates the function of a mapping. Names in braces are columns of the changed row, which the function takes as a JSON
-- array. It has the rights of its owner: rows that a policy hides from sidecars lead to keys as well.
create function cache_create_mapping(schema text, name text, bound regclass, mapping text, columns text[], pattern text,
    parameters regtype[], names_in text)
  returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  -- The text before each name in braces, and after the last one.
  texts constant text[] := regexp_split_to_array(mapping, '[{][^{}]+[}]');
  names text[];
  types text[];
  body text;
  key text;
  found integer;
  is_value boolean;
  sidecars text;
begin
  select coalesce(array_agg(attname::text order by position), '{}'),
    array_agg(case atttypid when 'varchar'::regtype then 'text' else typname::text end order by position)
    into names, types
  from regexp_matches(mapping, '[{]([^{}]+)[}]', 'g') with ordinality as matches (piece, position)
    join pg_attribute on attrelid = bound::oid and attname = piece[1] join pg_type on pg_type.oid = atttypid;
  select string_agg(part || case when position <= cardinality(names) then format(
      'pg_catalog.json_array_element_text($1, %s)::pg_catalog.%I',
      array_position(columns, names[position]) - 1, types[position]
    ) else '' end, '' order by position) into body
  from unnest(texts) with ordinality as parts (part, position);
  -- Within quotes or a comment, a name in braces would not become a value. A bracket in its place is a syntax error
  -- everywhere else.
  for number in 1 .. cardinality(names) loop
    is_value := false;
    begin
      execute format('prepare cache_mapping_to_bind as select from (%s%s) as mapped', (
        select string_agg(part || case when position = number then ']' when position <= cardinality(names) then 'null'
          else '' end, '' order by position)
        from unnest(texts) with ordinality as parts (part, position)
      ), E'\n');
      deallocate cache_mapping_to_bind;
    exception
      when syntax_error then is_value := true;
      when others then null;
    end;
    if not is_value then
      raise invalid_parameter_value using
        message = format('a query of depends has {%s} within quotes or a comment', names[number]),
        hint = format('Write {%s} without quotes: it stands for a value of the changed row, and not for a text.',
          names[number]);
    end if;
  end loop;
  -- The spelling of cache_key_expression(). No value of the other types has a percent sign or a colon.
  select string_agg(
    quote_literal(piece[1]) || '::pg_catalog.text' || case when piece[2] is null then '' else format(
      ' operator(pg_catalog.||) pg_catalog.replace(pg_catalog.replace(
         pg_catalog.concat(k%1$s::pg_catalog.%2$I) collate pg_catalog."C", ''%%'', ''%%25''), '':'', ''%%3A'')',
      number, (select typname from pg_type where oid = parameters[number]::oid)
    ) end,
    ' operator(pg_catalog.||) ' order by position
  ) into key
  from (
    select piece, position, count(piece[2]) over (order by position) as number
    from regexp_matches(pattern, '([^{}]*)(?:[{]([^{}]+)[}]|$)', 'g') with ordinality as matches (piece, position)
    where piece[1] <> '' or piece[2] is not null
  ) as pieces;
  perform set_config('search_path', names_in, true);
  execute pg_catalog.format(
    'create function %s.%I(pg_catalog.json) returns setof pg_catalog.text
       language sql stable security definer
       set search_path = pg_catalog, pg_temp set row_security = off
       -- The query is read with the same settings. A time is then the same date in both.
       set timezone = ''UTC'' set datestyle = ''ISO, YMD'' set intervalstyle = ''iso_8601'' set bytea_output = ''hex''
       set extra_float_digits = 1 set lc_monetary = ''C''
     begin atomic
       select %s from (%s
       ) as mapped (%s) where %s;
     end',
    schema, name, key, body,
    (select pg_catalog.string_agg('k' || number, ', ')
     from pg_catalog.generate_series(1, pg_catalog.cardinality(parameters)) as number),
    (select pg_catalog.string_agg('k' || number || ' is not null', ' and ')
     from pg_catalog.generate_series(1, pg_catalog.cardinality(parameters)) as number)
  );
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  execute format('select cardinality(%s.cache_columns_in($1, ''mapped''))', schema)
    into found using format('%s.%I(json)', schema, name)::regprocedure;
  if found <> cardinality(parameters) then
    raise invalid_parameter_value using message = format(
      'a query of depends returns %s columns for %s, but %s needs %s', found, bound, pattern, cardinality(parameters)),
      hint = 'Return the values of the names, in their order.';
  end if;
  execute format('revoke execute on function %s.%I(json) from public', schema, name);
  for sidecars in
    select case grantee when 0::oid then 'public' else quote_ident(pg_get_userbyid(grantee)::text) end
    from pg_proc, aclexplode(proacl)
    where pronamespace = schema::regnamespace::oid and proname = 'cache_dependents'
  loop
    execute format('grant execute on function %s.%I(json) to %s', schema, name, sidecars);
  end loop;
end
$$;

-- --- Binding ---

-- Raises an error if a function reads relations that are not among `tables`, or if its answers can change without a
-- change of a row; with `may_be_old`, they may depend on the clock and the session.
create function cache_require_known(schema text, query regprocedure, is_mapping boolean, tables regclass[],
    may_be_old boolean)
  returns void
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  kinds constant jsonb := '{"m": "a materialized view", "f": "a foreign table", "S": "a sequence"}';
  what constant text := case when is_mapping then 'a query of depends' else 'the query' end;
  temporary text;
  missing record;
  reason text;
begin
  -- A view or a function, too, ends with the session, and takes the function of the query with it.
  select string_agg(distinct regexp_replace(object.identity, '^pg_temp_[0-9]+', 'pg_temp'), ', ') into temporary
  from pg_depend cross join lateral pg_identify_object(refclassid, refobjid, 0) as object
  where classid = 'pg_proc'::regclass::oid and objid = cache_require_known.query::oid and object.schema ~ '^pg_temp';
  if temporary is not null then
    raise wrong_object_type using message = format('%s uses %s, which is temporary', what, temporary),
      hint = 'Make it permanent, or use something else.';
  end if;
  execute format(
    'select string_agg(format(''%%I.%%I'', nspname, relname), '', '' order by nspname, relname) as names,
       min(relkind) filter (where relkind not in (''r'', ''p'')) as kind,
       bool_or(nspname in (''pg_catalog'', ''information_schema'')) as is_catalogue
     from %s.cache_reads($1) as read (relation)
       join pg_class on pg_class.oid = relation::oid join pg_namespace on pg_namespace.oid = relnamespace
     where relation::oid <> all($2)',
    schema
  ) into missing using query, tables::oid[];
  if missing.names is not null then
    raise invalid_parameter_value using message = format('%s reads %s, which depends leaves out', what, missing.names),
      hint = case
        when missing.kind is not null
          then format('Changes of %s cannot be announced: read the tables instead.', kinds ->> missing.kind)
        when missing.is_catalogue then 'Changes of the catalogue are not announced: leave it out.'
        else 'Say for each table how a changed row leads to keys: {"' || split_part(missing.names, ', ', 1)
          || '": "{column}"}.'
      end;
  end if;
  execute format('select %s.cache_forbidden_call($1, $2)', schema) into reason using query, may_be_old;
  if reason is not null then
    raise invalid_parameter_value using
      message = format('the answers of %s would change without a change of a row: %s', what,
        case when is_mapping then replace(reason, ', and has no ttl', '') else reason end),
      hint = case
        when reason like '%which is volatile' then 'Use a function that is stable or immutable, or mark it so.'
        when reason like '%has no ttl' and is_mapping then
          'Leave that out: a changed row must lead to the same keys at any time. A ttl holds for answers only.'
        when reason like '%has no ttl' then 'Set ttl to the time for which an answer may be held.'
        else 'Leave that out.'
      end;
  end if;
end
$$;

-- Returns the relation that has a name in the search path `names_in`; null if none has, or if the text is no name.
create function cache_relation_named(name text, names_in text) returns regclass
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
  perform set_config('search_path', names_in, true);
  return pg_catalog.to_regclass(name);
exception when syntax_error or invalid_name or feature_not_supported then -- 'a b', 'a.b.c.d', 'database.schema.table'
  return null;
end
$$;

-- Binds a query to keys. A binding of the same pattern is replaced. The value of the first name of the pattern is $1 of
-- the query. The answer is the one row of the query as JSON, or with `many` an array of all rows.
--
-- `depends` says for each table that the query reads how a changed row leads to keys. There are two ways, and an array
-- of both: columns of the row, one for each name of the pattern, as in {"public.film_actor": "{film_id}"}; or a query
-- that returns the values of the names, as in
-- {"public.actor": "select film_id from film_actor where actor_id = {actor_id}"}.
--
-- The caller must own these tables. As with cache_bind(), others can read them until the transaction ends, but not
-- write them.
create function cache_bind_query(key text, query text, depends jsonb, many boolean default false,
    ttl interval default null, in_group text default null, names_in text default current_setting('search_path'))
  returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  context text;
  schema text;
  id constant text := left(md5(cache_bind_query.key), 12);
  types constant oid[] := '{text,varchar,int2,int4,int8,uuid,date}'::regtype[]::oid[];
  what_is_a_way constant text :=
    'Write columns of the row in braces, as in "{product_id}", or a query that returns the values of the key.';
  type_names constant text := 'These types can: text, varchar, smallint, integer, bigint, uuid, date.';
  body constant text := regexp_replace(cache_bind_query.query, '[;[:space:]]+$', '');
  names text[];
  parameters regtype[];
  -- Those that depends names.
  tables regclass[];
  function_name text;
  dependency record;
  number integer := 0;
  columns text[];
  is_mapped boolean;
  wrong text;
  before regclass;
  -- Tables of the dependencies of the former binding, which has this pattern.
  former regclass[];
  invalidations bigint;
begin
  get diagnostics context = pg_context;
  schema := substring(context from '([a-z_][a-z0-9_]*|"(?:[^"]|"")+")[.]"?cache_bind_query"?[(]');
  execute format('select %s.cache_names_in($1)', schema) into names using cache_bind_query.key;
  if cache_bind_query.ttl <= interval '0' or extract(epoch from cache_bind_query.ttl) > 1000000000 then
    raise invalid_parameter_value using message = format('%s is not a time to live', cache_bind_query.ttl),
      hint = 'Write a time above zero, of at most 1,000,000,000 seconds, or leave ttl out.';
  end if;
  if coalesce(body, '') = '' then
    raise invalid_parameter_value using message = 'the query is empty', hint = 'Write a SELECT.';
  end if;
  if cache_bind_query.many is null or cache_bind_query.names_in is null then
    raise invalid_parameter_value using
      message = format('%s is NULL', case when cache_bind_query.many is null then 'many' else 'names_in' end),
      hint = 'Leave it out for its default.';
  end if;
  if jsonb_typeof(cache_bind_query.depends) is distinct from 'object' then
    raise invalid_parameter_value using message = 'depends is not a JSON object',
      hint = 'Say for each table how a changed row leads to keys: {"public.reviews": "{product_id}"}.';
  end if;

  execute format('select array(select %s.cache_relation_named(name, $2) from jsonb_object_keys($1) as name)', schema)
    into tables using cache_bind_query.depends, cache_bind_query.names_in;
  execute format('select %s.cache_lock_tables($1, $2, $3)', schema) using schema, cache_bind_query.key, tables;
  execute format('select %s.cache_begin_binding($1, $2)', schema) using schema, cache_bind_query.key;
  execute format('delete from %s.cache_bound_tables where pattern = $1 returning bound', schema)
    into before using cache_bind_query.key;
  if before is not null then
    execute format('select %s.cache_unwatch_rows($1, $2, $3, null, null)', schema)
      using schema, 'cache_announce_' || id, before;
  end if;
  execute format('select array(select bound from %s.cache_dependencies where pattern = $1 order by number)', schema)
    into former using cache_bind_query.key;
  execute format('select invalidations from %s.cache_bound_queries where pattern = $1', schema)
    into invalidations using cache_bind_query.key;
  execute format('select %s.cache_end_query($1, $2)', schema) using schema, cache_bind_query.key;

  execute format('select %s.cache_parameters_of($1, $2)', schema) into parameters using body, cache_bind_query.names_in;
  if cardinality(parameters) <> cardinality(names) then
    raise invalid_parameter_value using message = format(
      'the query has %s, but %s needs %s',
      case cardinality(parameters) when 1 then '1 parameter' else cardinality(parameters) || ' parameters' end,
      cache_bind_query.key,
      cardinality(names)), hint = format('$1 stands for the value of %s.', names[1]);
  end if;
  select format('$%s, which stands for %s, has the type %s', position, names[position], type) into wrong
  from unnest(parameters) with ordinality as parameter (type, position)
  where type::oid <> all(types) limit 1;
  if wrong is not null then
    raise datatype_mismatch using message = format('%s: such a value cannot be part of a key', wrong),
      hint = type_names || ' Write a cast: $1::integer.';
  end if;
  function_name := format('%s.cache_query_%s(%s)', schema, id, array_to_string(parameters, ', '));
  perform set_config('search_path', cache_bind_query.names_in, true);
  execute pg_catalog.format(
    'create function %s returns setof pg_catalog.json language sql stable
     begin atomic
       select pg_catalog.row_to_json(answer.*) from (%s
       ) as answer;
     end',
    function_name, body
  );
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  -- It has the rights of whoever calls it.
  execute format('grant execute on function %s to public', function_name);
  execute format(
    'select name from unnest(%s.cache_columns_in($1, ''answer'')) as name group by name having count(*) > 1 limit 1', schema
  )
    into wrong using function_name::regprocedure;
  if wrong is not null then
    raise duplicate_column using message = format('the query returns two columns named %I', wrong),
      hint = 'Give them different names.';
  end if;

  execute format(
    'insert into %s.cache_bound_queries
       (pattern, query, parameters, depends, is_many, ttl, group_name, names_in, invalidations)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)',
    schema
  ) using cache_bind_query.key, cache_bind_query.query, parameters, cache_bind_query.depends, cache_bind_query.many,
    cache_bind_query.ttl, cache_bind_query.in_group, cache_bind_query.names_in, coalesce(invalidations, 0);

  for dependency in
    select table_name, way
    from jsonb_each(cache_bind_query.depends) as each_table (table_name, ways)
      left join lateral jsonb_array_elements(
        case jsonb_typeof(ways) when 'array' then ways else jsonb_build_array(ways) end
      ) as way on true
    order by table_name
  loop
    number := number + 1;
    execute format('select %s.cache_relation_named($1, $2)', schema)
      into before using dependency.table_name, cache_bind_query.names_in;
    if before is null then
      raise undefined_table using
        message = format('there is no table %s', case
          when dependency.table_name ~ '[^[:space:]]' then dependency.table_name
          else quote_ident(dependency.table_name)
        end),
        hint = format('Write its name as in a query, with its schema unless that is one of these: %s.',
          cache_bind_query.names_in);
    end if;
    if jsonb_typeof(dependency.way) is distinct from 'string' then
      raise invalid_parameter_value using message = case
          when dependency.way is null then format('depends has an empty list for %s', dependency.table_name)
          else format('depends has something for %s that is not a text: %s', dependency.table_name, dependency.way)
        end,
        hint = what_is_a_way;
    end if;
    execute format('select %s.cache_require_table($1, $2)', schema) using schema, before;
    is_mapped := dependency.way #>> '{}' !~ '^[{][^{}:]+[}](:[{][^{}:]+[}])*$';
    columns := array(
      select piece[1]
      from regexp_matches(dependency.way #>> '{}', '[{]([^{}]+)[}]', 'g') with ordinality as matches (piece, position)
      group by piece[1] order by min(position)
    );
    select format('%s has no column %I', before, name) into wrong
    from unnest(columns) as name
    where not exists (
      select from pg_attribute where attrelid = before::oid and attname = name and attnum > 0 and not attisdropped
    ) limit 1;
    if wrong is not null then
      raise undefined_column using message = wrong, hint = format('It has these: %s.', (
        select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
        where attrelid = before::oid and attnum > 0 and not attisdropped
      ));
    end if;
    if not is_mapped and cardinality(columns) <> cardinality(names) then
      raise invalid_parameter_value using message = format(
        'depends names %s columns of %s, but %s needs %s', cardinality(columns), before, cache_bind_query.key,
        cardinality(names)), hint = 'Write one column for each name, or a query that returns the values.';
    end if;
    -- The value must be spelt as the parameter spells it.
    select format('the column %I of %s has the type %s', attname, before, format_type(atttypid, null)) into wrong
    from unnest(columns) with ordinality as given (name, position)
      join pg_attribute on attrelid = before::oid and attname = name
      join pg_type on pg_type.oid = atttypid
      join pg_type as parameter on parameter.oid = case
        when is_mapped then atttypid else parameters[position]::oid end
    where atttypid <> all(types)
      or case pg_type.typname
          when 'varchar' then 'text' when 'int2' then 'int8' when 'int4' then 'int8' else pg_type.typname end
        <> case parameter.typname
          when 'varchar' then 'text' when 'int2' then 'int8' when 'int4' then 'int8' else parameter.typname end
    limit 1;
    if wrong is not null then
      raise datatype_mismatch using
        message = format('%s: such a value cannot lead to a key of %s', wrong, cache_bind_query.key),
        hint = case when is_mapped then type_names
          else 'The types of column and parameter must agree. Parameters: ' || array_to_string(parameters, ', ') || '.'
        end;
    end if;

    execute format(
      'insert into %s.cache_dependencies (pattern, number, bound, table_name, columns, is_mapped)
       select $1, $2, $3, format(''%%I.%%I'', nspname, relname), $4, $5
       from pg_class join pg_namespace on pg_namespace.oid = relnamespace where pg_class.oid = $3::oid',
      schema
    ) using cache_bind_query.key, number, before, columns, is_mapped;
    if is_mapped then
      begin
        execute format('select %s.cache_create_mapping($1, $2, $3, $4, $5, $6, $7, $8)', schema)
          using schema, format('cache_map_%s_%s', id, number), before,
            regexp_replace(dependency.way #>> '{}', '[;[:space:]]+$', ''), columns, cache_bind_query.key, parameters,
            cache_bind_query.names_in;
      exception when syntax_error or undefined_column or undefined_table or undefined_function then
        raise exception using errcode = sqlstate, message = case
            when dependency.way #>> '{}' ~* '\m(select|values|table)\M'
              then format('the query that depends has for %s: %s', dependency.table_name, sqlerrm)
            else format('depends has neither columns in braces nor a query for %s, but %s',
              dependency.table_name, dependency.way)
          end,
          hint = what_is_a_way;
      end;
    end if;
    if former[number] is not null then
      execute format('select %s.cache_unwatch_rows($1, $2, $3, $4, ''outbox'')', schema)
        using schema, format('cache_announce_%s_%s', id, number), former[number], before;
    end if;
    execute format('select %s.cache_watch_rows($1, $2, $3, $4, $5, $6)', schema)
      using schema, format('cache_announce_%s_%s', id, number), before,
        case when is_mapped then (select string_agg('{' || name || '}', ':') from unnest(columns) as name) else (
          select string_agg(
            piece[1] || case when piece[2] is null then '' else '{' || columns[position_of_name] || '}' end,
            '' order by position
          )
          from (
            select piece, position, count(piece[2]) over (order by position) as position_of_name
            from regexp_matches(cache_bind_query.key, '([^{}]*)(?:[{]([^{}]+)[}]|$)', 'g')
              with ordinality as matches (piece, position)
          ) as pieces
        ) end,
        'outbox', case when is_mapped then format('cache_map_%s_%s', id, number) end;
  end loop;
  for unused in number + 1 .. cardinality(former) loop
    execute format('select %s.cache_unwatch_rows($1, $2, $3, null, null)', schema)
      using schema, format('cache_announce_%s_%s', id, unused), former[unused];
  end loop;

  execute format('select %s.cache_require_known($1, $2, $3, $4, $5)', schema)
    using schema, function_name::regprocedure, false, tables, cache_bind_query.ttl is not null;
  for dependency in
    select oid::regprocedure as mapping from pg_proc
    where pronamespace = schema::regnamespace::oid and starts_with(proname::text, format('cache_map_%s_', id))
  loop
    execute format('select %s.cache_require_known($1, $2, $3, $4, $5)', schema)
      using schema, dependency.mapping, true, tables, false;
  end loop;
  execute format('select %s.cache_watch_definitions($1)', schema) using schema;
end
$$;

-- Drops the triggers on the tables of a query. Tables may be gone.
create function cache_unwatch_query(schema text, pattern text) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  dependency record;
begin
  for dependency in execute format('select number, bound from %s.cache_dependencies where pattern = $1', schema)
    using pattern
  loop
    execute format('select %s.cache_unwatch_rows($1, $2, $3, null, null)', schema)
      using schema, format('cache_announce_%s_%s', left(md5(pattern), 12), dependency.number), dependency.bound;
  end loop;
end
$$;

-- Ends the binding of a query, whose triggers are left. Returns false if there was none. Functions of it may be gone.
create function cache_end_query(schema text, pattern text) returns boolean
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  id constant text := left(md5(pattern), 12);
  function_name text;
  is_ended boolean;
begin
  for function_name in
    select oid::regprocedure::text from pg_proc
    where pronamespace = schema::regnamespace::oid
      and (proname = 'cache_query_' || id or starts_with(proname::text, format('cache_map_%s_', id)))
  loop
    execute format('drop function %s', function_name);
  end loop;
  -- In the replica role, the foreign key does not do that.
  execute format('delete from %s.cache_dependencies where pattern = $1', schema) using pattern;
  execute format(
    'with ended as (delete from %s.cache_bound_queries where pattern = $1 returning 1) select exists (select from ended)',
    schema
  ) into is_ended using pattern;
  return is_ended;
end
$$;
