-- The entries. A table made and filled by the original Python service is taken over in place: its
-- columns stay as they are, its rows stay, and its statements go on working.

create table if not exists cache_entries (
  key text primary key,
  value text not null,
  updated_at timestamp not null default now()
);

-- One sequence for all keys. Versions say "the same" or "not the same"; they are not in commit order.
create sequence cache_version;

-- Which history of the database this is: after a failover to a standby that lacked the tail, versions may be
-- handed out twice, and only this tells them apart. Fails on a standby.
create function cache_epoch() returns text
  language sql stable
as $$
  select system_identifier || '-' || left(pg_walfile_name(pg_current_wal_lsn()), 8) from pg_control_system()
$$;

-- Where the database stands. Security definer, as all that touches the sequence: who may read and write the
-- table need not be told about it.
create function cache_position(out epoch text, out latest bigint)
  language sql stable security definer set search_path from current
as $$
  select cache_epoch(), last_value from cache_version
$$;

-- Constant defaults, so that a large table is not rewritten. A row that was here before keeps version 0
-- until its next write: one value per key ever has that version.
alter table cache_entries
  add column version bigint not null default 0,
  -- null: `value` is the string itself. 'application/json': `value` is JSON text.
  add column content_type text,
  -- null: the entry does not expire. Past it, the entry counts as absent.
  add column expires_at timestamptz;

comment on column cache_entries.version is 'Stamped by a trigger on every write; what is given is ignored.';

-- With the search path pinned, a session's own search path (or a temporary object) cannot lead the function astray.
create function cache_stamp() returns trigger
  language plpgsql security definer set search_path from current
as $$
begin
  -- A writer that does not know of content types (the original service, plain SQL) writes a string. When
  -- its statement did name the column, cache_note_content_type has left the mark.
  if tg_op = 'UPDATE' and new.version is not null and new.value is distinct from old.value then
    new.content_type := null;
  end if;
  new.version := nextval('cache_version');
  return new;
end
$$;

-- Only a column trigger can tell that a statement names a column. The mark is a null version: cache_stamp,
-- which comes next by name, replaces it in every case.
create function cache_note_content_type() returns trigger
  language plpgsql
as $$
begin
  new.version := null;
  return new;
end
$$;

create trigger cache_entries_1_content_type before update of content_type on cache_entries
  for each row execute function cache_note_content_type();
create trigger cache_entries_2_stamp before insert or update on cache_entries
  for each row execute function cache_stamp();

-- Always: a restore, or any other session in the replica role, must not slip by.
alter table cache_entries enable always trigger cache_entries_1_content_type;
alter table cache_entries enable always trigger cache_entries_2_stamp;
