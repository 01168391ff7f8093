-- Nobody is told.
drop trigger cache_entries_3_inserted on cache_entries;
drop trigger cache_entries_3_updated on cache_entries;
drop trigger cache_entries_3_deleted on cache_entries;
