-- Creates a role for sidecars that can read and write entries, and nothing else. This is not a migration. Run it once,
-- as the owner of cache_entries, after "caching-layer migrate", in the database of the table:
--
--   psql --single-transaction --set ON_ERROR_STOP=1 --set role=sidecar --file sql/least-privilege.sql "$OWNER_URL"
--
-- Then give the role a password ("\password sidecar" in psql) or a client certificate, and run
-- "caching-layer serve --no-migrate" as this role. Running this file again changes nothing. If the owner may not create
-- roles, let somebody create the role first; this file then only grants the rights.

select set_config('caching_layer.role', :'role', true);

do $$
declare
  name constant text := current_setting('caching_layer.role');
begin
  if not exists (select from pg_roles where rolname = name) then
    execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls', name);
  end if;
  execute format('grant connect on database %I to %I', current_database(), name);
  -- The schema of the table, which need not be the first one of the search path.
  execute format('grant usage on schema %I to %I',
    (select nspname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where pg_class.oid = 'cache_entries'::regclass), name);
end
$$;

-- Rights on rows only, without TRUNCATE, TRIGGER and REFERENCES. In PostgreSQL, a role that may delete rows may always
-- lock the table, too. docs/how-to/secure.md says what to do if that matters.
grant select, insert, update, delete on cache_entries to :"role";

-- The list of applied migrations, for "doctor" and for "serve" without --no-migrate.
grant select on cache_migrations to :"role";

-- Marks, which show a sidecar after an outage whether the database still has the same history (docs/protocol.md, P9).
grant select, insert, delete on cache_marks to :"role";

-- The sidecar whose turn it is to remove rows that have expired (docs/protocol.md, P12).
grant select, insert, update on cache_sweeper to :"role";

-- The list of sidecars, for people who look at the fleet. Without these rights, this one is not in it.
grant select, insert, update, delete on cache_sidecars to :"role";

-- Leases to compute missing values (docs/protocol.md, P15). Deleting entries revokes them.
grant select, insert, update, delete on cache_leases to :"role";

-- Bindings of keys to tables (docs/protocol.md, P16). The column is a counter, by which their keys are invalidated. Each
-- table that is bound needs "grant select on TABLE to ROLE" besides, and its schema "grant usage".
grant select, update (invalidations) on cache_bound_tables to :"role";

-- Bindings of keys to queries (docs/protocol.md, P18). The role also needs SELECT on what a query names in its FROM.
grant select, update (invalidations) on cache_bound_queries to :"role";
grant select on cache_dependencies to :"role";

-- Keys of bound tables that sidecars have to announce (docs/protocol.md, P17). The function leads from changed rows to
-- keys of queries, with the rights of whoever has bound them.
grant select, delete on cache_outbox to :"role";
grant execute on function cache_dependents(text, text[]) to :"role";
-- It calls the functions of queries that are bound already. cache_bind_query grants those of later ones.
do $$
declare
  mapping regprocedure;
begin
  for mapping in
    select pg_proc.oid from pg_proc join pg_class on relnamespace = pronamespace
    where pg_class.oid = 'cache_entries'::regclass and proname ~ '^cache_map_[0-9a-f]{12}_[0-9]+$'
  loop
    execute format('grant execute on function %s to %I', mapping, current_setting('caching_layer.role'));
  end loop;
end
$$;

-- The sequence of versions. By default, all roles may use it.
grant usage, select on cache_version to :"role";

-- Functions that return the channel of the changes, the epoch and the position. By default, all roles may call them.
grant execute on function cache_channel(text, text), cache_epoch(), cache_position(), cache_system_identifier(),
  cache_database_oid(), cache_knows_timeline(), cache_history(text, regclass, regclass), cache_epoch_of(regclass, regclass),
  cache_lineage(regclass) to :"role";

-- Functions that return what the query of a binding uses. By default, all roles may call them.
grant execute on function cache_uses(regprocedure), cache_forbidden_uses(oid[], oid[]) to :"role";

-- Functions that remove entries by key, group or prefix. By default, all roles may call them.
grant execute on function cache_remove(regclass, text[], text[], text, boolean), cache_announce_revoked(regclass, text),
  cache_invalidate_bound(regclass, text[], text[], text, boolean) to :"role";
