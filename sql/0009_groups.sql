-- Groups of entries, by which entries can be removed (0010).

-- Names of the groups that the entry belongs to. Null for none, so that entries without groups take no room in the
-- index.
alter table cache_entries add column groups text[];

create index if not exists cache_entries_groups on cache_entries using gin (groups) where groups is not null;
