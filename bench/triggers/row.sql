-- One notification per row.
drop trigger cache_entries_3_inserted on cache_entries;
drop trigger cache_entries_3_updated on cache_entries;
drop trigger cache_entries_3_deleted on cache_entries;
create trigger bench_row after insert or update or delete on cache_entries
  for each row execute function cache_announce_replicated();
