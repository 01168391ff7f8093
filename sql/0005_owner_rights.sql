-- Closes the ways by which other roles of the database could act with the rights of the owner of cache_entries.
--
-- 1. A trigger function must not run with its owner's rights. A role that may execute it may attach it to a temporary table of
--    its own, and a domain's CHECK or an implicit cast on a column of that table then runs code of its choice as the
--    function's owner. To take the right to execute away is not enough: triggers that were attached before go on firing. So
--    all functions run with the caller's rights (SECURITY INVOKER, the default), and everybody may draw from the sequence.
-- 2. A function must not find another role's function first. With search_path = public, to_json(key) finds
--    public.to_json(text) before pg_catalog.to_json(anyelement), and where everybody may create objects in public
--    (PostgreSQL 14 and databases upgraded from it) everybody can put one there. So PL/pgSQL functions find names in
--    pg_catalog only or name it, and SQL functions call nothing that takes arguments of any type.
--
-- A function with a pinned search path cannot call another function of this schema by its plain name. The schema's
-- name is not written down either, because ALTER SCHEMA ... RENAME would break it. So the text of a change stands in
-- each trigger function that announces.

-- The channel on which a table's changes are announced. At most 63 bytes, and different for tables of the same name in
-- two schemas.
create or replace function cache_channel(table_schema text, table_name text) returns text
  language sql immutable
  return 'caching_layer_' || left(md5(table_schema || '.' || table_name), 16);

-- Which history of the database this is: system identifier and timeline. Fails on a standby. Qualified names cost less
-- than a pinned search path: 1.5 µs a call and not 3.8, and every statement of a sidecar makes one.
create or replace function cache_epoch() returns text
  language plpgsql stable
as $$
declare
  epoch text := pg_catalog.current_setting('caching_layer.epoch', true);
begin
  if epoch is null or epoch operator(pg_catalog.=) '' then
    select control.system_identifier::text operator(pg_catalog.||) '-'
      operator(pg_catalog.||) pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)
    into strict epoch
    from pg_catalog.pg_control_system() as control;
    perform pg_catalog.set_config('caching_layer.epoch', epoch, false);
  end if;
  return epoch;
end
$$;

-- Where the database stands.
create or replace function cache_position(out epoch text, out latest bigint)
  language sql stable
as $$
  select cache_epoch(), last_value from cache_version
$$;

create or replace function cache_stamp() returns trigger
  language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
  -- A writer that does not know of content types (the original service, plain SQL) writes a string. When its statement
  -- did name the column, cache_note_content_type has left the mark.
  if tg_op = 'UPDATE' and new.version is not null and new.value is distinct from old.value then
    new.content_type := null;
  end if;
  new.version := nextval((quote_ident(tg_table_schema) || '.cache_version')::regclass);
  return new;
end
$$;

-- Whoever may write the table need not be told about the sequence. To draw from it, or to see where it stands, as everybody
-- could before by cache_position(), does no harm.
grant usage, select on sequence cache_version to public;

create or replace function cache_announce() returns trigger
  language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
declare
  channel constant text := 'caching_layer_' || left(md5(tg_table_schema || '.' || tg_table_name), 16);
  many constant integer := 10000;
  rows integer;
begin
  rows := count(*) from (select from changed limit many + 1) as bounded;
  if rows = 0 then
    return null;
  elsif rows > many then
    perform pg_notify(channel, '*');
    return null;
  end if;

  -- A payload must stay below 8,000 bytes. A page takes what begins within 4,700 bytes; the change that crosses the
  -- border can be 3,100 long (512 control characters, escaped).
  perform pg_notify(channel, '[' || string_agg(change, ',') || ']')
  from (
    select change, sum(octet_length(change) + 1) over (rows unbounded preceding) / 4700 as page
    from (
      select case
        when octet_length(key) > 128 and octet_length(convert_to(key, 'UTF8')) > 512
          then '"\u0000' || encode(sha256(convert_to(key, 'UTF8')), 'hex') || '"'
        else to_json(key)::text
      end || case when tg_op = 'DELETE' then ',"-' else ',"' end || version || '"'
      from changed
    ) as announced (change)
  ) as paged
  group by page;

  if tg_op = 'UPDATE' then
    -- A renamed key is gone under its old name. (`not in` is planned as one hash look-up per row.)
    perform pg_notify(
      channel,
      '[' || case
        when octet_length(key) > 128 and octet_length(convert_to(key, 'UTF8')) > 512
          then '"\u0000' || encode(sha256(convert_to(key, 'UTF8')), 'hex') || '"'
        else to_json(key)::text
      end || ',"-' || version || '"]'
    )
    from before
    where key not in (select key from changed);
  end if;
  return null;
end
$$;

create or replace function cache_announce_truncate() returns trigger
  language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('caching_layer_' || left(md5(tg_table_schema || '.' || tg_table_name), 16), '*');
  return null;
end
$$;

-- Rows applied by logical replication fire row triggers only. A rename announces its new key and its old one.
create or replace function cache_announce_replicated() returns trigger
  language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify(
    'caching_layer_' || left(md5(tg_table_schema || '.' || tg_table_name), 16),
    '[' || case
      when octet_length(key) > 128 and octet_length(convert_to(key, 'UTF8')) > 512
        then '"\u0000' || encode(sha256(convert_to(key, 'UTF8')), 'hex') || '"'
      else to_json(key)::text
    end || case when gone then ',"-' else ',"' end || version || '"]'
  )
  from (
    select new.key, new.version, false where tg_op <> 'DELETE'
    union all
    select old.key, old.version, true where tg_op = 'DELETE' or (tg_op = 'UPDATE' and old.key <> new.key)
  ) as changes (key, version, gone);
  return null;
end
$$;

-- Nothing calls it any more. To drop it could fail, because anybody's view may use it.
alter function cache_change(text, bigint, boolean) set search_path = pg_catalog, pg_temp;

-- Grants `privilege`, such as 'select on cache_marks', to every role that has one of the rights
-- `holding` on cache_entries or on a column of it. A migration that makes a table, a sequence or a function calls it, with
-- the search path that migrations run with, so that a role which was allowed to use the cache before it can go on. It does
-- nothing for a role that may not grant.
create function cache_copy_grants(privilege text, holding text[]) returns void
  language plpgsql
as $$
declare
  holder oid;
begin
  for holder in
    select distinct granted.grantee
    from (
      select acl.* from pg_catalog.pg_class, pg_catalog.aclexplode(relacl) as acl
      where pg_class.oid = 'cache_entries'::regclass::oid
      union all
      select acl.* from pg_catalog.pg_attribute, pg_catalog.aclexplode(attacl) as acl
      where attrelid = 'cache_entries'::regclass::oid
    ) as granted
    where pg_catalog.lower(granted.privilege_type) = any(holding)
  loop
    execute pg_catalog.format('grant %s to %s', privilege, case holder when 0::oid then 'public'
      else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(holder)::text) end);
  end loop;
end
$$;

select cache_copy_grants('select on cache_migrations', array['select', 'insert', 'update', 'delete']);
