-- Functions that remove entries by key, group or prefix, and fill leases.
--
-- An application that calls such a function in its own transaction changes its data and removes what was computed from
-- it at the same moment, or neither. With a fill lease, one of all callers in a fleet that miss a key computes its
-- value. An invalidation of the key, or of one of the groups that the value will belong to, revokes the lease, so that
-- a value computed from old data is refused.
--
-- Each key and each group has an advisory lock, which ends with the transaction. Removing takes it in shared mode, then
-- deletes the leases, and then the entries, each with a snapshot of its own. Giving a lease
-- (postgres/store/fill-leases.ts) tries to take it in exclusive mode, and gives none if that fails. T removes the
-- entries of a group, H computes:
--
--   a. T finds no lease yet.        1. T removes, and has changed data in its transaction that nobody else sees.
--                                   2. H asks for a lease: T has the lock, so H gets none. Otherwise:
--                                   3. H would compute from the old data, T would commit, and H's value would stay.
--   b. T finds H's lease.           1. H has a lease, and has computed from the old data.
--                                   2. T deletes the lease, and has not committed.
--                                   3. H's value arrives: deleting the lease waits for T. After T's commit there is no
--                                      lease to delete, and the value is refused. After a rollback it is stored.
--   c. H's value comes first.       1. H's statement has deleted its lease, and is storing its value.
--                                   2. T wants to delete the lease, and waits for H.
--                                   3. H commits. T finds no lease. Its next statement has a new snapshot, and deletes
--                                      the entry.
--
-- In c, a snapshot of the whole transaction would not show the entry. So removing requires READ COMMITTED.

-- Unlogged, because a lease is worth nothing after a crash: the table is empty then, and on a promoted standby. The
-- next caller gets a lease, and the value of the former holder is refused.
create unlogged table cache_leases (
  key text primary key,
  key_hash bigint not null generated always as (hashtextextended(key, 0)) stored,
  -- Random text, which only the holder knows.
  lease text not null,
  groups text[],
  ends_at timestamptz not null
);

create index if not exists cache_leases_groups on cache_leases using gin (groups) where groups is not null;
create index if not exists cache_leases_key_hash on cache_leases (key_hash);
create index if not exists cache_leases_ends_at on cache_leases (ends_at);

-- Every statement that deletes an entry looks for a lease of its key, and must not fail for a role that has no rights
-- on leases as long as there is none.
grant select (key_hash) on cache_leases to public;

-- A role that may delete entries must be able to revoke leases.
select cache_copy_grants('select, insert, update, delete on cache_leases', array['insert', 'update', 'delete']);

-- Announces that the lease of a key was revoked, so that a caller who waits asks for the next one. The announcement is
-- that of a deleted entry, with a version that no entry has.
create function cache_announce_revoked(entries regclass, key text) returns void
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify(
    'caching_layer_' || left(md5(nspname::text || '.' || relname::text), 16),
    '[' || case
      when octet_length(key) > 128 and octet_length(convert_to(key, 'UTF8')) > 512
        then '"' || chr(92) || 'u0000' || encode(sha256(convert_to(key, 'UTF8')), 'hex') || '"'
      else to_json(key)::text
    end || ',"-' || (
      (nextval((quote_ident(nspname::text) || '.cache_version')::regclass) << 24)
      | (random() * 16777215::double precision)::bigint
    )::text || '"]'
  )
  from pg_class join pg_namespace on pg_namespace.oid = relnamespace
  where pg_class.oid = entries::oid;
end
$$;

-- Removes the entries that have one of the keys, belong to one of the groups, or have a key that begins with the
-- prefix, and returns them. An argument that is null selects nothing. The leases that the same conditions select are
-- revoked first. Rows are locked in the order of their keys, like those of a sidecar's statements, so that two
-- statements do not deadlock.
--
-- The text has the given conditions only: PostgreSQL would plan for the others, too, and read the whole table. No key
-- of a sidecar is longer than 256 characters of four bytes, so the range of a prefix ends with as many of the last
-- character.
create function cache_remove(entries regclass, keys text[], groups text[], prefix text, everything boolean)
  returns table (key text, version bigint)
  language plpgsql volatile set search_path = pg_catalog, pg_temp
as $$
declare
  last_character constant text := chr(case when getdatabaseencoding() = 'UTF8' then 1114111 else 255 end);
  -- A statement that gives a lease takes one of these locks as well. A transaction that removes more than a few names
  -- takes all of them, and no others. They are several so that leases can be given at the same moment, and few so that
  -- they always fit into the server's table of locks.
  shares constant integer := 16;
  names text[] := array(
    select 'key ' || name from unnest(keys) as name union all select 'group ' || name from unnest(groups) as name
  );
  schema constant text := (
    select quote_ident(nspname)
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace where pg_class.oid = entries::oid
  );
  leases constant text := schema || '.cache_leases';
  -- Announces no more of them. Who waits for others asks when their leases would have ended.
  announced constant integer := 100;
  conditions constant text[] := array_remove(array[
    case when keys is not null then 'key = any($1)' end,
    case when groups is not null then 'groups && $2' end,
    case when prefix is not null
      then 'key::text collate "C" >= $3 and key::text collate "C" < $4 and starts_with(key::text, $3)' end,
    case when everything then 'true' end
  ], null);
  -- Statements that remove the leases, then the entries.
  statements text[];
begin
  if prefix = '' then
    raise invalid_parameter_value using
      message = 'the prefix is empty', hint = 'cache_invalidate_all() removes all entries.';
  end if;
  if cardinality(conditions) = 0 then
    return;
  end if;
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    raise feature_not_supported using
      message = 'entries can only be removed in a transaction of READ COMMITTED',
      detail = 'A snapshot of the whole transaction does not show what others have stored meanwhile.';
  end if;

  if prefix is not null or everything or cardinality(names) > shares then
    names := array(select 'share ' || share::text from generate_series(1, shares) as share);
  end if;
  perform pg_advisory_xact_lock_shared(hashtextextended(name, entries::oid::bigint)) from unnest(names) as name;

  statements := array(
    select format(
      'with locked as (
         select key from %1$s where %2$s order by key collate "C" for update
       )
       delete from %1$s where key in (select key from locked)',
      source,
      -- Not joined by "or", so that each condition can use its own index.
      case when cardinality(conditions) = 1 then conditions[1]
        else (
          select 'key in (' || string_agg(format('select key from %s where %s', source, condition), ' union ') || ')'
          from unnest(conditions) as condition
        ) end
    )
    from unnest(array[leases, entries::text]) with ordinality as sources (source, position) order by position
  );
  execute format(
    'with revoked as (%s returning key) select %s.cache_announce_revoked($5, key) from revoked limit %s',
    statements[1], schema, announced
  ) using keys, groups, prefix, prefix || repeat(last_character, 256), entries;
  return query execute statements[2] || ' returning key::text, version'
    using keys, groups, prefix, prefix || repeat(last_character, 256);
end
$$;

-- Returns the table of this schema. The next functions are for sessions with any search path, and the schema may be
-- renamed, so its name is found in the name of this function. (A body that named the table would depend on it: nobody
-- could drop the table or change the type of a column any more.) A session that has called it before the schema is
-- renamed has to reconnect.
create function cache_own_table() returns regclass
  language plpgsql stable set search_path = pg_catalog, pg_temp
as $$
declare
  context text;
begin
  -- The context is translated, and contains the name as it is: public.cache_own_table().
  get diagnostics context = pg_context;
  return (substring(context from '([a-z_][a-z0-9_]*|"(?:[^"]|"")+")[.]"?cache_own_table"?[(]') || '.cache_entries')::regclass;
end
$$;

-- The next functions return the number of entries that they have removed. They run with the caller's rights, and need
-- the rights to select, update and delete rows. Their bodies are parsed when they are created, so that no object of
-- another role can be found first when they are called (0005).

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
