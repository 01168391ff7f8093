-- Groups of entries, and functions that remove entries by key, group or prefix. An application that calls such a function
-- in its own transaction changes its data and removes what was computed from it at the same moment, or neither.

-- --- Groups ---

-- Names of the groups that the entry belongs to. Null for none, so that entries without groups take no room in the index.
alter table cache_entries add column groups text[];

create index if not exists cache_entries_groups on cache_entries using gin (groups) where groups is not null;

-- --- Removing ---

-- Removes the entries that have one of the keys, belong to one of the groups, or have a key that begins with the prefix, and
-- returns them. An argument that is null selects nothing. Rows are locked in the order of their keys, like those of a
-- sidecar's statements, so that two statements do not deadlock.
--
-- The text has the given conditions only: PostgreSQL would plan for the others, too, and read the whole table. No key of a
-- sidecar is longer than 256 characters of four bytes, so the range of a prefix ends with as many of the last character.
create function cache_remove(entries regclass, keys text[], groups text[], prefix text, everything boolean)
  returns table (key text, version bigint)
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  last_character constant text := chr(case when getdatabaseencoding() = 'UTF8' then 1114111 else 255 end);
  conditions constant text[] := array_remove(array[
    case when keys is not null then 'key = any($1)' end,
    case when groups is not null then 'groups && $2' end,
    case when prefix is not null
      then 'key::text collate "C" >= $3 and key::text collate "C" < $4 and starts_with(key::text, $3)' end,
    case when everything then 'true' end
  ], null);
begin
  if prefix = '' then
    raise invalid_parameter_value using
      message = 'the prefix is empty', hint = 'cache_invalidate_all() removes all entries.';
  end if;
  if cardinality(conditions) = 0 then
    return;
  end if;
  return query execute format(
    'with locked as (
       select key from %1$s where %2$s order by key collate "C" for update
     )
     delete from %1$s where key in (select key from locked) returning key::text, version',
    entries,
    -- Not joined by "or", so that each condition can use its own index.
    case when cardinality(conditions) = 1 then conditions[1]
      else (
        select 'key in (' || string_agg(format('select key from %s where %s', entries, condition), ' union ') || ')'
        from unnest(conditions) as condition
      ) end
  ) using keys, groups, prefix, prefix || repeat(last_character, 256);
end
$$;

-- Returns the table of this schema. The next functions are for sessions with any search path, and the schema may be renamed,
-- so its name is found in the name of this function. (A body that named the table would depend on it: nobody could drop the
-- table or change the type of a column any more.) A session that has called it before the schema is renamed has to reconnect.
create function cache_own_table() returns regclass
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  context text;
begin
  -- The context is translated, and contains the name as it is: public.cache_own_table().
  get diagnostics context = pg_context;
  return (substring(context from '([a-z_][a-z0-9_]*|"(?:[^"]|"")+")\.cache_own_table\(') || '.cache_entries')::regclass;
end
$$;

-- The next functions return the number of entries that they have removed. They run with the caller's rights, and need the
-- rights to select, update and delete rows. Their bodies are parsed when they are created, so that no object of another role
-- can be found first when they are called (0005).

create function cache_invalidate(key text) returns bigint
  language sql volatile
  return (
    select pg_catalog.count(*)
    from cache_remove(cache_own_table(), array[cache_invalidate.key], null::text[], null::text, false)
  );

create function cache_invalidate_group(name text) returns bigint
  language sql volatile
  return (
    select pg_catalog.count(*)
    from cache_remove(cache_own_table(), null::text[], array[cache_invalidate_group.name], null::text, false)
  );

create function cache_invalidate_prefix(prefix text) returns bigint
  language sql volatile
  return (
    select pg_catalog.count(*)
    from cache_remove(cache_own_table(), null::text[], null::text[], cache_invalidate_prefix.prefix, false)
  );

create function cache_invalidate_all() returns bigint
  language sql volatile
  return (
    select pg_catalog.count(*) from cache_remove(cache_own_table(), null::text[], null::text[], null::text, true)
  );
