-- A sequence that has handed out nothing has the same last value as one that has handed out its first. The first is
-- nobody's, so that cache_position() is below the version of every row that comes after it.
select nextval('cache_version');
