/** Mistakes with the outbox of bound tables (P17). */

const statement = 'src/postgres/outbox/drain-statement.ts'
const session = 'src/postgres/outbox/drain-session.ts'
const migration = 'sql/0011_bindings.sql'
const state = 'src/core/state/cache-state.ts'
const inSql = { caughtBy: 'bindings/outbox' }
const inCore = { caughtBy: 'core/protocol/outbox' }
const outbox = `\${quoteIdentifier(schema)}.cache_outbox`

export const outboxMutants = [
  {
    name: 'outbox: a drain leaves out rows that are locked',
    ...inSql,
    tests: 'a row that another drain is deleting',
    file: statement,
    find: `delete from ${outbox} \${isNew ?? ''} returning key`,
    replace: `delete from ${outbox} where ctid = any(array(select ctid from ${outbox} \${isNew ?? ''} for update skip locked)) returning key`,
  },
  {
    name: 'outbox: a drain takes a thousand rows at most',
    ...inSql,
    tests: 'drains of a large outbox',
    file: statement,
    find: `delete from ${outbox} \${isNew ?? ''} returning key`,
    replace: `delete from ${outbox} where ctid = any(array(select ctid from ${outbox} \${isNew ?? ''} limit 1000)) returning key`,
  },
  {
    name: 'outbox: transactions that were under way are forgotten',
    ...inSql,
    tests: 'transactions that were under way',
    file: statement,
    find: `xid = any(array(select pg_snapshot_xip(\${since}))) or xid >=`,
    replace: 'xid >=',
  },
  {
    name: 'outbox: more keys than are named are not announced',
    ...inSql,
    tests: 'drains of a large outbox',
    file: statement,
    find: `count(*) > \${many} or bool_or`,
    replace: 'bool_or',
  },
  {
    name: 'outbox: a row without a key is not announced',
    ...inSql,
    tests: 'a drain announces what it deletes',
    file: statement,
    find: ' or bool_or(key is null and mapping is null)',
    replace: '',
  },
  {
    name: 'outbox: a drain counts from its answer',
    ...inSql,
    tests: 'a row that another drain is deleting',
    file: session,
    find: 'return { sentMs, epoch',
    replace: 'return { sentMs: this.#clock.now() + 0 * sentMs, epoch',
  },
  {
    name: 'outbox: rows are deleted in one transaction, and announced in another',
    caughtBy: 'e2e/broken-drains',
    tests: 'a sidecar is killed, and the server completes its drain',
    file: session,
    find: '    const { rows } = await (this.#since',
    replace: `    const outbox = \`\${table.schema}.cache_outbox\`
    const gone = await this.#client.query<{ key: string }>(\`delete from \${outbox} returning key\`)
    const keys = gone.rows.map(({ key }) => key)
    await this.#client.query(\`insert into \${outbox} (key) select unnest($1::text[])\`, [keys])
    const { rows } = await (this.#since`,
  },
  {
    name: 'outbox: a probe counts as a drain',
    ...inCore,
    file: 'src/core/feed/feed-follower.ts',
    find: 'lease.proven(asOfMs, proof.drainedMs)',
    replace: 'lease.proven(asOfMs, proof.drainedMs ?? asOfMs)',
  },
  {
    name: 'outbox: an entry needs no lease of the outbox',
    ...inCore,
    file: state,
    find: '(entry.viaOutbox && !lease.outboxHolds(nowMs))',
    replace: '(entry.viaOutbox && !lease.holds(nowMs))',
  },
  {
    name: 'outbox: an absence needs no lease of the outbox',
    ...inCore,
    file: state,
    find: '(absence.viaOutbox && !lease.outboxHolds(nowMs))',
    replace: '(absence.viaOutbox && !lease.holds(nowMs))',
  },
  {
    name: 'outbox: a comparison proves a drain that came after it began',
    ...inCore,
    file: 'src/core/state/lease.ts',
    find: '      : comparison\n',
    replace: '      : { ...comparison, outboxAsOfMs: this.#outboxProvenOnceCaughtUpMs }\n',
  },
  {
    name: 'outbox: another server has drained',
    caughtBy: 'postgres/outbox/proof',
    file: 'src/postgres/feed/proof.ts',
    find: 'drained?.epoch === epoch ? drained.sentMs : undefined',
    replace: 'drained?.sentMs',
  },
  {
    name: 'outbox: the end of a prepared transaction is told again and again',
    caughtBy: 'outbox/prepared-transactions',
    file: 'src/postgres/outbox/prepared-transactions.ts',
    find: 'this.#pending = new Set([...before].filter((one) => now.has(one)))\n    return this.#pending.size < before.size',
    replace: 'return [...before].filter((one) => now.has(one)).length < before.size',
  },
  {
    name: 'outbox: a prepared transaction of before is forgotten',
    ...inSql,
    tests: 'a prepared transaction that outlives a crash',
    file: 'src/postgres/feed/prober.ts',
    find: 'if (prepared.hasEnded(proof.prepared))',
    replace: 'if (prepared.hasEnded(proof.prepared) && false)',
  },
  {
    name: 'outbox: a cast makes texts of the columns of a key',
    ...inSql,
    tests: 'the owner of a table gets no rights',
    file: migration,
    find: "then pg_catalog.concat(%1$s%2$I) end', source, column_name)",
    replace: "then %1$s%2$I::text end', source, column_name)",
  },
  {
    name: 'outbox: everybody may use the function of the triggers',
    ...inSql,
    tests: 'writers need no right on the cache',
    file: migration,
    find: "execute format('revoke execute on function %s.%I() from public', schema, name);",
    replace: "execute format('grant execute on function %s.%I() to public', schema, name);",
  },
]
