-- The sidecars of this database, for people who look at the fleet: on the page of a sidecar, by "caching-layer top", or
-- with "select * from cache_sidecars".
--
-- Each sidecar that is in use writes its row once a minute (src/postgres/fleet/). Nothing else depends on the table: a
-- sidecar that may not write it works as before, and a row that somebody else writes misleads only those who look.
--
-- Unlogged, because the rows are back within a minute after a crash. A statement that writes nothing else does not wait
-- for the disk.

create unlogged table cache_sidecars (
  -- Identifies the process: a random text.
  sidecar text primary key,
  version text not null,
  -- Name of the machine; in Kubernetes, that of the pod.
  host text not null,
  -- IP address of the operations listener, as other machines see it. Null if it is only on loopback.
  address text,
  -- Port of the page. Null if there is none.
  page_port integer,
  started_at timestamptz not null,
  -- ready, degraded or unready, as GET /readyz says.
  status text not null,
  -- Age of the last proof that entries are fresh. Null before the first.
  lag_ms integer,
  -- Share of hits among the reads since the row was written before. Null without reads.
  hit_ratio double precision,
  reads_per_second double precision not null,
  entries integer not null,
  seen_at timestamptz not null,
  -- Time by which the row is written again, unless the sidecar is idle then.
  due_at timestamptz not null,
  -- True if the sidecar becomes idle before `due_at` unless it gets a request.
  may_be_idle boolean not null,
  -- Time after which any sidecar removes the row.
  expires_at timestamptz not null
) with (
  -- Room for new versions of a row in its page, so that the index does not grow.
  fillfactor = 50
);

-- A sidecar writes its row, reads those of others, and removes what has expired.
select cache_copy_grants('select, insert, update, delete on cache_sidecars', array['insert', 'update', 'delete']);
