/** Mistakes with the leases of fills. */

const migration = 'sql/0010_fill_leases.sql'
const acquire = 'src/postgres/store/fill-leases.ts'
const fill = 'src/postgres/store/fill-statement.ts'
const store = 'src/postgres/store/store.ts'
const reads = 'src/core/leases/leased-reads.ts'
const waits = 'src/core/changes/key-waits.ts'
const contests = 'src/core/leases/fill-contests.ts'
const inSql = { caughtBy: 'integration/postgres/fill-leases' }
const inHttp = { caughtBy: 'http/fill-leases' }
const inCore = { caughtBy: 'leased-reads' }

export const leaseMutants = [
  {
    name: 'leases: a revoked lease is not announced',
    ...inHttp,
    tests: 'every way of invalidation',
    file: migration,
    find: 'from revoked limit %s',
    replace: 'from revoked where false limit %s',
  },
  {
    name: 'leases: a lease that is given back is not announced',
    ...inHttp,
    tests: 'a lease that is given back',
    file: acquire,
    find: 'from ended`',
    replace: 'from ended where false`',
  },
  {
    name: 'leases: a change does not make callers ask again',
    ...inCore,
    file: contests,
    find: '    this.changes++\n    this.#askedMs = Number.NEGATIVE_INFINITY\n',
    replace: '    this.changes++\n',
  },
  {
    name: 'leases: removing takes no lock',
    ...inSql,
    tests: 'keeps leases from being given',
    file: migration,
    find: 'from unnest(names) as name;',
    replace: "from unnest(names) as name where name = '';",
  },
  {
    name: 'leases: removing by prefix takes no lock',
    ...inSql,
    tests: 'prefix.*keeps leases from being given',
    file: migration,
    find: 'if prefix is not null or everything or cardinality(names) > shares then',
    replace: 'if everything or cardinality(names) > shares then',
  },
  {
    name: 'leases: removing takes a lock for each of many names',
    ...inSql,
    tests: 'many names at once',
    file: migration,
    find: 'or everything or cardinality(names) > shares then',
    replace: 'or everything then',
  },
  {
    name: 'leases: removing revokes no leases',
    ...inSql,
    tests: 'makes a value wait',
    file: migration,
    find: 'with revoked as (%s returning key)',
    replace: 'with revoked as (%s and false returning key)',
  },
  {
    name: 'leases: removing deletes the entries before the leases',
    ...inSql,
    tests: 'removes a value that is being stored',
    file: migration,
    find: `  execute format(
    'with revoked as (%s returning key) select %s.cache_announce_revoked($5, key) from revoked limit %s',
    statements[1], schema, announced
  ) using keys, groups, prefix, prefix || repeat(last_character, 256), entries;
  return query`,
    replace: `  return query execute statements[2] || ' returning key::text, version'
    using keys, groups, prefix, prefix || repeat(last_character, 256);
  execute statements[1] using keys, groups, prefix, prefix || repeat(last_character, 256);
  if true then
    return;
  end if;
  return query`,
  },
  {
    name: 'leases: removing has a snapshot of the whole transaction',
    ...inSql,
    tests: 'removing is refused in',
    file: migration,
    find: "in ('repeatable read', 'serializable')",
    replace: "in ('none')",
  },
  {
    name: 'leases: a lease takes its locks in shared mode',
    ...inSql,
    tests: 'other names are not affected|keeps leases',
    file: acquire,
    find: 'pg_try_advisory_xact_lock(',
    replace: 'pg_try_advisory_xact_lock_shared(',
  },
  {
    name: 'leases: a lease ignores the locks of its groups',
    ...inSql,
    tests: 'group.*keeps leases from being given',
    file: acquire,
    find: '(group) => `group $',
    replace: '(group) => `groups $',
  },
  {
    name: 'leases: a lease is given although its locks are not free',
    ...inSql,
    tests: 'keeps leases from being given',
    file: acquire,
    find: 'from locked where is_free',
    replace: 'from locked where is_free is not null',
  },
  {
    name: 'leases: a lease takes over one that has not ended',
    ...inSql,
    tests: 'given once|50 callers',
    file: acquire,
    find: 'where cache_leases.ends_at <= clock_timestamp()',
    replace: "where cache_leases.ends_at <= clock_timestamp() + interval '1 hour'",
  },
  {
    name: 'leases: a lease that another holds is released',
    ...inSql,
    tests: 'given back',
    file: acquire,
    find: 'where key = $1::text and lease = $2::text`',
    replace: 'where key = $1::text and lease <> $2::text`',
  },
  {
    name: 'leases: a value needs no lease of its own',
    ...inSql,
    tests: 'given once',
    file: fill,
    find: "'key = $1::text and lease = $2::text and ends_at > clock_timestamp()'",
    replace: "'key = $1::text and $2::text is not null and ends_at > clock_timestamp()'",
  },
  {
    name: 'leases: a lease does not end by itself',
    ...inSql,
    tests: 'given once',
    file: fill,
    find: 'and ends_at > clock_timestamp()',
    replace: 'and ends_at is not null',
  },
  {
    name: 'leases: a value replaces an entry that is there',
    ...inSql,
    tests: 'an entry that is there',
    file: fill,
    find: 'where cache_entries.expires_at <= clock_timestamp()',
    replace: 'where cache_entries.expires_at <= clock_timestamp() or true',
  },
  {
    name: 'leases: a value may have other groups than its lease',
    ...inSql,
    tests: 'among those of its lease',
    file: fill,
    find: 'operator(pg_catalog.@>) $5::text::text[]"',
    replace: 'operator(pg_catalog.@>) $5::text::text[] or true"',
  },
  {
    name: 'leases: a value that a trigger leaves out counts as one that is there',
    ...inHttp,
    tests: 'a trigger leaves out or renames',
    file: fill,
    find: "key === null && may_be_present ? 'present'",
    replace: "key === null && may_be_present !== undefined ? 'present'",
  },
  {
    name: 'leases: who gets no lease is told of another client in any case',
    ...inHttp,
    tests: 'while a transaction that invalidates',
    file: contests,
    find: "this.#isBlocked = answer.kind === 'blocked'",
    replace: "this.#isBlocked = answer.kind === 'blocked' && this.callers < 0",
  },
  {
    name: 'leases: a delete revokes no lease',
    ...inSql,
    tests: 'a delete by a client revokes',
    file: store,
    find: 'if (are_leased) await this.#revoke(keys, part)',
    replace: 'if (are_leased && keys.length === 0) await this.#revoke(keys, part)',
  },
  {
    name: 'leases: a delete leaves what was stored under a lease that it revokes',
    ...inSql,
    tests: 'a delete by a client removes',
    file: store,
    find: 'removalsOf(keys, await send()))',
    replace: 'removalsOf(keys, rows))',
  },
  {
    name: 'leases: a delete with a condition revokes no lease',
    ...inSql,
    tests: 'a delete by a client revokes',
    file: store,
    find: '        await this.#revoke([write.key], part)\n        isRevoked',
    replace: '        isRevoked',
  },
  {
    name: 'leases: a write with a lease is kept',
    ...inHttp,
    tests: 'a crash of the server',
    file: 'src/core/writes/direct-writes.ts',
    find: 'const isDecided = condition !== undefined || lease !== undefined',
    replace: 'const isDecided = condition !== undefined',
  },
  {
    name: 'leases: a lease is given without another read',
    ...inCore,
    file: reads,
    find: 'if (read.value === undefined && !isGone())',
    replace: 'if (!isGone())',
  },
  {
    name: 'leases: the last read before a lease is answered from memory',
    ...inCore,
    file: reads,
    find: 'cache.get(key, { strong: true })',
    replace: 'cache.get(key, { strong: false })',
  },
  {
    name: 'leases: a client that is gone keeps its lease',
    ...inCore,
    file: reads,
    find: 'if (read.value === undefined && !isGone())',
    replace: 'if (read.value === undefined && (!isGone() || true))',
  },
  {
    name: 'leases: a change before the wait is missed',
    ...inCore,
    file: waits,
    find: 'if (contest.changes !== seen) return',
    replace: 'void seen',
  },
  {
    name: 'leases: nobody asks while the feed is lost',
    ...inCore,
    file: waits,
    find: "cache.status().feed === 'live'",
    replace: "cache.status().feed !== 'idle'",
  },
  {
    name: 'leases: any number of requests wait',
    ...inCore,
    file: waits,
    find: 'const maxWaiting = 1_000',
    replace: 'const maxWaiting = 1_000_000',
  },
  {
    name: 'leases: every caller asks for the lease',
    ...inCore,
    file: contests,
    find: 'if (this.#asking) await this.#asking',
    replace: 'if (this.#asking && nowMs < 0) await this.#asking',
  },
  {
    name: 'leases: the lease is for a caller that did not ask',
    ...inCore,
    file: contests,
    find: "if (lease !== undefined) return { kind: 'granted', lease }",
    replace: "if (lease !== undefined && clock.now() < 0) return { kind: 'granted', lease }",
  },
  {
    name: 'leases: the end of a lease wakes nobody',
    ...inCore,
    file: reads,
    find: 'Math.min(leftMs, turn.untilMs - nowMs)',
    replace: 'leftMs',
  },
  {
    name: 'leases: changes wake nobody',
    ...inHttp,
    tests: 'stored by others',
    file: 'src/core/state/cache-state.ts',
    find: 'this.#parts.contests.changed(id)',
    replace: 'void this.#parts.contests',
  },
]
