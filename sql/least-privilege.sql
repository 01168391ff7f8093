-- A role for sidecars that can read and write entries, and nothing else. Not a migration: run it once, as the owner of
-- cache_entries, after "caching-layer migrate", in the database of the table:
--
--   psql --single-transaction --set ON_ERROR_STOP=1 --set role=sidecar --file sql/least-privilege.sql "$OWNER_URL"
--
-- Then give it a way in ("\password sidecar" in psql, or a client certificate), and run "caching-layer serve --no-migrate"
-- with it. Running this again changes nothing. Who may not create roles makes the role beforehand; it is then only
-- given its rights.

select set_config('caching_layer.role', :'role', true);

do $$
declare
  name constant text := current_setting('caching_layer.role');
begin
  if not exists (select from pg_roles where rolname = name) then
    execute format('create role %I login nosuperuser nocreatedb nocreaterole noreplication nobypassrls', name);
  end if;
  execute format('grant connect on database %I to %I', current_database(), name);
  -- Of the table, which may be in another schema than the first of the search path.
  execute format('grant usage on schema %I to %I',
    (select nspname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where pg_class.oid = 'cache_entries'::regclass), name);
end
$$;

-- Rows, and neither TRUNCATE nor TRIGGER nor REFERENCES. A role that may delete rows may also lock the table: PostgreSQL
-- does not give the one without the other. docs/how-to/secure.md says what to do where that matters.
grant select, insert, update, delete on cache_entries to :"role";

-- What is applied, so that "doctor" and "serve" without --no-migrate can tell.
grant select on cache_migrations to :"role";

-- Marks, by which a sidecar tells after an outage whether the database still has what it had (docs/protocol.md, P9).
grant select, insert, delete on cache_marks to :"role";

-- Everybody may draw versions unless somebody has revoked that.
grant usage, select on cache_version to :"role";

-- Everybody may call these unless somebody has revoked that: the channel of the changes, and where the database stands.
grant execute on function cache_channel(text, text), cache_epoch(), cache_position(), cache_system_identifier(),
  cache_database_oid(), cache_knows_timeline(), cache_history(text, regclass, regclass), cache_epoch_of(regclass, regclass),
  cache_lineage(regclass) to :"role";
