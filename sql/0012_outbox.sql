-- The outbox of bound tables (docs/protocol.md, P17).
--
-- NOTIFY takes a lock of the whole server at the commit. Writers of bound tables do not pay that: their triggers insert
-- the keys of the rows that they have changed into this table, and the sidecars delete what is there and announce it,
-- all in one statement. That statement is called a drain.
--
-- The table is unlogged: a crash of the server empties it. It also ends every session, and then sidecars compare
-- everything that they hold.

create unlogged table cache_outbox (
  -- The transaction that has inserted the row. A drain needs only those that the last one did not see.
  xid xid8 not null default pg_current_xact_id(),
  -- Null for any key. With a mapping, a JSON array of values of the changed row.
  key text,
  -- The function that leads from these values to keys (sql/0013_bound_queries.sql). The drain calls it.
  mapping text
) with (
  -- Nearly all rows are dead. The share of the table that is dead says nothing.
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000,
  autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 10000
);

-- A long transaction of another client keeps rows that were deleted. Through the index, a drain does not read them.
create index if not exists cache_outbox_xid on cache_outbox (xid);

-- Sidecars read and delete rows. Only the triggers insert them, with the rights of whoever has bound the table.
select cache_copy_grants('select, delete on cache_outbox', array['select']);
