-- Sidecars remove rows that have expired, in small batches. The end of a row that had expired is not announced.
-- docs/protocol.md, P12, says why that is safe.

-- Finds expired rows. Rows that do not expire are not in it, so they cost nothing. Building it reads the table once,
-- and the table is locked until it is complete. If that takes too long for a very large table, create the index
-- concurrently before this migration, under this name (docs/reference/http-api.md, "Removal of expired rows").
create index if not exists cache_entries_expiry on cache_entries (expires_at) where expires_at is not null;

-- The sidecar whose turn it is to remove expired rows. There is at most one row. While that sidecar is at work, `until`
-- is a few seconds ahead.
create table cache_sweeper (
  is_only boolean primary key default true check (is_only),
  sidecar text not null,
  until timestamptz not null
);

select cache_copy_grants('select, insert, update on cache_sweeper', array['delete']);

-- Announces as in 0006, but a DELETE leaves out the rows that had expired 10 seconds before. Nobody holds them as
-- fresh, even if the clock is a little off. Only the row and the clock decide: a setting of the session could be used
-- to hide other changes. INSERT and UPDATE announce every row, because each gives its row a version that nobody holds.

create or replace function cache_announce() returns trigger
  language plpgsql security invoker
as $$
<<announcing>>
declare
  channel constant text := 'caching_layer_'
    || pg_catalog.left(pg_catalog.md5(tg_table_schema::text || '.' || tg_table_name::text), 16);
  many constant integer := 10000;
  -- Qualified where it is used, because the table may have a column of any name.
  silent_before constant timestamp with time zone :=
    least(pg_catalog.now(), pg_catalog.clock_timestamp()) - interval '10 seconds';
  rows integer;
begin
  rows := pg_catalog.count(*)
  from (
    select from changed
    where tg_op <> 'DELETE' or expires_at is null or expires_at > announcing.silent_before
    limit many + 1
  ) as bounded;
  if rows = 0 then
    return null;
  elsif rows > many then
    perform pg_catalog.pg_notify(channel, '*');
    return null;
  end if;

  -- A payload must stay below 8,000 bytes. A page takes what begins within 4,700 bytes; the change that crosses the
  -- border can be 3,100 long (512 control characters, escaped).
  perform pg_catalog.pg_notify(channel, '[' || pg_catalog.string_agg(change, ',') || ']')
  from (
    select change, pg_catalog.sum(pg_catalog.octet_length(change) + 1) over (rows unbounded preceding) / 4700 as page
    from (
      select case
        when pg_catalog.octet_length(key) > 128
          and pg_catalog.octet_length(pg_catalog.convert_to(key, 'UTF8')) > 512
          then '"' || pg_catalog.chr(92) || 'u0000'
            || pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(key, 'UTF8')), 'hex') || '"'
        else pg_catalog.to_json(key)::text
      end || case when tg_op = 'DELETE' then ',"-' else ',"' end || version::text || '"'
      from changed
      where tg_op <> 'DELETE' or expires_at is null or expires_at > announcing.silent_before
    ) as announced (change)
  ) as paged
  group by page;

  if tg_op = 'UPDATE' then
    -- A renamed key is gone under its old name. (`not in` is planned as one hash look-up per row.)
    perform pg_catalog.pg_notify(
      channel,
      '[' || case
        when pg_catalog.octet_length(key) > 128
          and pg_catalog.octet_length(pg_catalog.convert_to(key, 'UTF8')) > 512
          then '"' || pg_catalog.chr(92) || 'u0000'
            || pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(key, 'UTF8')), 'hex') || '"'
        else pg_catalog.to_json(key)::text
      end || ',"-' || version::text || '"]'
    )
    from before
    where key not in (select key from changed);
  end if;
  return null;
end
$$;

create or replace function cache_announce_replicated() returns trigger
  language plpgsql security invoker set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify(
    'caching_layer_' || left(md5(tg_table_schema || '.' || tg_table_name), 16),
    '[' || case
      when octet_length(key) > 128 and octet_length(convert_to(key, 'UTF8')) > 512
        then '"' || chr(92) || 'u0000' || encode(sha256(convert_to(key, 'UTF8')), 'hex') || '"'
      else to_json(key)::text
    end || case when gone then ',"-' else ',"' end || version || '"]'
  )
  from (
    select new.key, new.version, false where tg_op <> 'DELETE'
    union all
    select old.key, old.version, true
    where tg_op = 'UPDATE' and old.key <> new.key
      or tg_op = 'DELETE' and (
        old.expires_at is null or old.expires_at > least(now(), clock_timestamp()) - interval '10 seconds'
      )
  ) as changes (key, version, gone);
  return null;
end
$$;
