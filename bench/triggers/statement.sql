-- Many keys in one notification, one row treated like many.
create or replace function cache_announce() returns trigger
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
    perform pg_notify(channel, '[' || cache_change(key, version, true) || ']')
    from before
    where key not in (select key from changed);
  end if;
  return null;
end
$$;
