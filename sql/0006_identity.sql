-- A version identifies one value, even if the database is restored, re-created, swapped or rewound.
--
-- Three mechanisms together ensure that:
-- - Versions do not repeat, because 24 of their bits are random.
-- - An epoch identifies the history, the database, the table and its sequence.
-- - Sidecars write marks now and then. A mark that is gone shows that the present history lacks what was seen before,
--   for example after a snapshot was put back, which does not change the epoch.

-- --- Versions ---

-- A version has the value of the sequence in its high bits, so that later versions are higher, and 24 random bits.
alter sequence cache_version maxvalue 549755813887 cycle;

-- The function sets no search path, because that takes a seventh of the time of writing a row. Instead, functions and
-- types are qualified with their schema, and operators get operands of exactly their types, so that no object of
-- another role can match better (0005).
create or replace function cache_stamp() returns trigger
  language plpgsql security invoker
as $$
begin
  -- A statement that does not name content_type (plain SQL, the original service) leaves JSON to be JSON, as long as its text
  -- is JSON; otherwise it writes a string. When it did name the column, cache_note_content_type has left the mark.
  if tg_op = 'UPDATE' and new.version is not null and new.content_type is not null
    and new.value is distinct from old.value
  then
    begin
      if new.content_type <> 'application/json' or pg_catalog.json_typeof(new.value::pg_catalog.json) = 'null' then
        new.content_type := null;
      end if;
    exception when others then
      new.content_type := null;
    end;
  end if;
  -- A session that has called setseed() draws the same random numbers again, though hardly in the same microsecond.
  new.version :=
    (pg_catalog.nextval((pg_catalog.quote_ident(tg_table_schema) || '.cache_version')::pg_catalog.regclass) << 24)
    | (
      (
        (pg_catalog.random() * 16777215::double precision)::bigint
        # pg_catalog.date_part('microseconds', pg_catalog.clock_timestamp())::bigint
      ) & 16777215::bigint
    );
  return new;
end
$$;

-- The sequence gets the owner of its table, and is moved and dropped together with it.
do $$
begin
  execute format('alter sequence cache_version owner to %I', (
    select pg_get_userbyid(relowner) from pg_class where oid = 'cache_entries'::regclass
  ));
  alter sequence cache_version owned by cache_entries.version;
exception when insufficient_privilege then
  raise notice 'cache_version has another owner than cache_entries and stays where it is';
end
$$;

-- --- Epochs ---

-- The results of the next three functions do not change during a session. They are declared immutable, so that they are
-- computed when a statement is planned, and not each time it runs: reading the control file takes 8 µs.

-- Returns the system identifier of the cluster; '0' if the provider does not allow reading it.
create function cache_system_identifier() returns text
  language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
begin
  return (select system_identifier::text from pg_control_system());
exception when others then
  return '0';
end
$$;

create function cache_database_oid() returns oid
  language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
begin
  return (select oid from pg_database where datname = current_database());
end
$$;

-- Returns false if the provider does not allow reading the position of the log. Returns true on a standby, so that
-- cache_epoch_of() fails there.
create function cache_knows_timeline() returns boolean
  language plpgsql immutable set search_path = pg_catalog, pg_temp
as $$
begin
  if not pg_is_in_recovery() then
    perform pg_walfile_name(pg_current_wal_lsn());
  end if;
  return true;
exception when others then
  return false;
end
$$;

-- Returns an epoch, `digits-8hex`: the cluster, and a hash of the rest. A timeline has eight hexadecimal digits.
create function cache_history(timeline text, entries regclass, versions regclass) returns text
  language sql stable
  return (cache_system_identifier() || '-') || upper(left(md5(
    timeline || (' ' || cache_database_oid()::text || ' ' || entries::oid::text || ' ' || versions::oid::text)
  ), 8));

-- Returns the epoch of the table. Fails on a standby, which has no current position of the log. Volatile like the
-- functions that it calls: if it were declared stable, it would not be inlined, and would take five times as long.
create function cache_epoch_of(entries regclass, versions regclass) returns text
  language sql volatile
  return cache_history(
    case when cache_knows_timeline() then left(pg_walfile_name(pg_current_wal_lsn()), 8) else '00000000' end,
    entries, versions
  );

-- For sidecars of 0.1, which find the table and the sequence by their search path. The language stays the same: if it
-- changed, a session that is just calling the function would read the new source in the old language.
create or replace function cache_epoch() returns text
  language plpgsql volatile
as $$
begin
  return cache_epoch_of('cache_entries'::regclass, 'cache_version'::regclass);
end
$$;

-- Returns the lineage: cluster, database and table. Transaction numbers can be compared within one lineage, even across
-- failovers. A dump can bring marks into another cluster, where they mean nothing.
create function cache_lineage(entries regclass) returns text
  language sql volatile
  return cache_system_identifier() || ('-' || cache_database_oid()::text || '-' || entries::oid::text);

-- Returns the epoch and the highest version that the sequence may have produced. For sidecars of 0.1.
create or replace function cache_position(out epoch text, out latest bigint)
  language sql stable
as $$
  select cache_epoch(), (last_value << 24) | 16777215::bigint from cache_version
$$;

-- --- Marks ---

-- A row means that `oldest_xid` was the oldest running transaction when the mark was written. So an entry that an older
-- transaction has written was visible then. This holds as long as the mark itself exists: then the present history
-- contains everything from before the mark.
create table cache_marks (
  number bigint generated always as identity primary key,
  mark bigint not null,
  oldest_xid bigint not null,
  latest bigint not null,
  lineage text not null,
  written_at timestamptz not null default clock_timestamp()
);

select cache_copy_grants('select on cache_marks', array['select', 'insert', 'update', 'delete']);
select cache_copy_grants('insert, delete on cache_marks', array['insert', 'update']);
-- All roles may execute functions, unless that was revoked from public.
select cache_copy_grants(
  'execute on function cache_system_identifier(), cache_database_oid(), cache_knows_timeline(), '
    'cache_history(text, regclass, regclass), cache_epoch_of(regclass, regclass), cache_lineage(regclass)',
  array['select', 'insert', 'update', 'delete']
);

-- --- Announcements ---

-- As in 0005, but without literal backslashes, which a session with standard_conforming_strings = off reads
-- differently. cache_announce(), which every write calls, sets no search path, for the same reason as cache_stamp().

create or replace function cache_announce() returns trigger
  language plpgsql security invoker
as $$
declare
  channel constant text := 'caching_layer_'
    || pg_catalog.left(pg_catalog.md5(tg_table_schema::text || '.' || tg_table_name::text), 16);
  many constant integer := 10000;
  rows integer;
begin
  rows := pg_catalog.count(*) from (select from changed limit many + 1) as bounded;
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
    select old.key, old.version, true where tg_op = 'DELETE' or (tg_op = 'UPDATE' and old.key <> new.key)
  ) as changes (key, version, gone);
  return null;
end
$$;

-- Makes sidecars of 0.1 compare their entries, and find the new epoch.
select pg_notify(cache_channel(nspname, 'cache_entries'), '*')
from pg_class join pg_namespace on pg_namespace.oid = relnamespace
where pg_class.oid = 'cache_entries'::regclass;
