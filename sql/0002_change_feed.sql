-- Every change is announced at its commit, many keys in one notification.
--
-- Payload: '*' (anything may have changed), or a JSON array of strings: id, version, id, version, ...
-- The version of a row's absence is that of the row which is gone, with a minus before it.
-- The id of a key is the key itself, or, past 512 bytes of UTF-8, U+0000 and the hex of its SHA-256
-- (no key holds U+0000, so the two cannot be confused). src/core/key-id.ts computes the same.

-- At most 63 bytes, and different for equally named tables in two schemas of one database.
create function cache_channel(table_schema text, table_name text) returns text
  language sql immutable
as $$
  select 'caching_layer_' || left(md5(table_schema || '.' || table_name), 16)
$$;

-- One key and its version as they stand in a payload.
create function cache_change(key text, version bigint, gone boolean) returns text
  language sql immutable
as $$
  select case
    when octet_length(key) > 128 and octet_length(convert_to(key, 'UTF8')) > 512
      then '"\u0000' || encode(sha256(convert_to(key, 'UTF8')), 'hex') || '"'
    else to_json(key)::text
  end || case when gone then ',"-' else ',"' end || version || '"'
$$;

-- After each statement, over its transition tables (`changed`, and for updates `before`).
--
-- A payload must stay below 8,000 bytes. A page takes what begins within 4,700 bytes; the change that
-- crosses the border can be 3,100 long (512 control characters, escaped).
create function cache_announce() returns trigger
  language plpgsql security definer set search_path from current
as $$
declare
  channel constant text := cache_channel(tg_table_schema, tg_table_name);
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

  perform pg_notify(channel, '[' || string_agg(change, ',') || ']')
  from (
    select change, sum(octet_length(change) + 1) over (rows unbounded preceding) / 4700 as page
    from (
      select cache_change(key, version, tg_op = 'DELETE') from changed
    ) as announced (change)
  ) as paged
  group by page;

  if tg_op = 'UPDATE' then
    -- A renamed key is gone under its old name. (`not in` is planned as one hash look-up per row.)
    perform pg_notify(channel, '[' || cache_change(key, version, true) || ']')
    from before
    where key not in (select key from changed);
  end if;
  return null;
end
$$;

create function cache_announce_truncate() returns trigger
  language plpgsql security definer set search_path from current
as $$
begin
  perform pg_notify(cache_channel(tg_table_schema, tg_table_name), '*');
  return null;
end
$$;

-- Rows applied by logical replication fire row triggers only. This one is enabled for the replica role
-- and costs other sessions nothing.
create function cache_announce_replicated() returns trigger
  language plpgsql security definer set search_path from current
as $$
declare
  channel constant text := cache_channel(tg_table_schema, tg_table_name);
begin
  if tg_op <> 'DELETE' then
    perform pg_notify(channel, '[' || cache_change(new.key, new.version, false) || ']');
  end if;
  if tg_op = 'DELETE' or (tg_op = 'UPDATE' and old.key <> new.key) then
    perform pg_notify(channel, '[' || cache_change(old.key, old.version, true) || ']');
  end if;
  return null;
end
$$;

create trigger cache_entries_3_inserted after insert on cache_entries
  referencing new table as changed
  for each statement execute function cache_announce();
create trigger cache_entries_3_updated after update on cache_entries
  referencing old table as before new table as changed
  for each statement execute function cache_announce();
create trigger cache_entries_3_deleted after delete on cache_entries
  referencing old table as changed
  for each statement execute function cache_announce();
create trigger cache_entries_3_truncated after truncate on cache_entries
  for each statement execute function cache_announce_truncate();
create trigger cache_entries_4_replicated after insert or update or delete on cache_entries
  for each row execute function cache_announce_replicated();

alter table cache_entries enable always trigger cache_entries_3_inserted;
alter table cache_entries enable always trigger cache_entries_3_updated;
alter table cache_entries enable always trigger cache_entries_3_deleted;
alter table cache_entries enable always trigger cache_entries_3_truncated;
alter table cache_entries enable replica trigger cache_entries_4_replicated;
