import t from 'tap'
import { type Fault, testFaults } from '../../support/doctor-faults.js'

const faults: Readonly<Record<string, Fault>> = {
  // --- Rights ---
  'no right to read': {
    sql: 'revoke select on cache_entries from $role',
    check: 'rights',
    says: /no right to select on cache_entries.*no entry can be read/,
    cure: /grant select on/,
  },
  'no right to insert': {
    sql: 'revoke insert on cache_entries from $role',
    check: 'rights',
    says: /no right to insert on cache_entries: no entry can be set/,
    cure: /grant insert on/,
  },
  'no right to update': {
    sql: 'revoke update on cache_entries from $role',
    check: 'rights',
    says: /no right to update on cache_entries: no entry can be set/,
    cure: /grant update on/,
  },
  'no right to delete': {
    sql: 'revoke delete on cache_entries from $role',
    level: 'warning',
    check: 'rights',
    says: /no right to delete on cache_entries: no entry can be deleted/,
    cure: /^if that is not intended, .*grant delete on/,
  },
  'no right to read a column': {
    sql: 'revoke select on cache_entries from $role; grant select (key, value, version, groups, xmin) on cache_entries to $role',
    check: 'rights',
    says: /no right to select on content_type, expires_at of cache_entries/,
    cure: /grant select \(content_type, expires_at\) on/,
  },
  'no right to update a column': {
    sql: `revoke update on cache_entries from $role;
          grant update (key, value, content_type, expires_at, groups) on cache_entries to $role`,
    check: 'rights',
    says: /no right to update on updated_at of cache_entries/,
    cure: /grant update \(updated_at\) on/,
  },
  'no right to the system column that pending writes compare': {
    sql: `revoke select on cache_entries from $role;
          grant select (key, value, version, content_type, expires_at, groups) on cache_entries to $role`,
    level: 'warning',
    check: 'rights',
    says: /pending writes cannot be sent/,
    cure: /grant select on/,
  },
  'no right to read groups': {
    sql: `revoke select on cache_entries from $role;
          grant select (key, value, version, content_type, expires_at, xmin) on cache_entries to $role`,
    level: 'warning',
    check: 'rights',
    says: /no right to select on cache_entries: entries can be neither listed nor removed by group/,
    cure: /^if that is not intended, .*grant select on/,
  },
  'no right to sweep': {
    sql: 'revoke update on cache_sweeper from $role',
    level: 'warning',
    check: 'rights',
    says: /no right to update on cache_sweeper/,
    cure: /grant update on \W*public\W+cache_sweeper/,
  },
  'no right to be in the list of the fleet': {
    sql: 'revoke insert on cache_sidecars from $role',
    level: 'warning',
    check: 'rights',
    says: /no right to insert on cache_sidecars/,
    cure: /grant insert on \W*public\W+cache_sidecars/,
  },
  'no right to leave marks': {
    sql: 'revoke insert on cache_marks from $role',
    level: 'warning',
    check: 'rights',
    says: /no right to insert on cache_marks: after an outage/,
    cure: /grant insert on \W*public\W+cache_marks/,
  },
  'no right to read marks': {
    sql: 'revoke all on cache_marks from $role',
    level: 'warning',
    check: 'rights',
    says: /no right to select on cache_marks, insert on cache_marks, delete on cache_marks/,
    cure: /grant select on .*grant insert on .*grant delete on/,
  },
  'no right to give leases': {
    sql: 'revoke insert on cache_leases from $role',
    level: 'warning',
    check: 'rights',
    says: /no right to insert on cache_leases: no fill lease is given/,
    cure: /grant insert on \W*public\W+cache_leases/,
  },
  'no right to revoke leases': {
    sql: 'revoke all on cache_leases from $role',
    level: 'warning',
    check: 'rights',
    says: /cache_leases: .*no entry can be deleted while a client computes it/,
    cure: /grant select on .*grant insert on .*grant update on .*grant delete on/,
  },
  'no right to drain the outbox': {
    sql: 'revoke delete on cache_outbox from $role',
    level: 'warning',
    check: 'rights',
    says: /no right to delete on cache_outbox: keys of bound tables are not served from memory/,
    cure: /grant delete on \W*public\W+cache_outbox/,
  },
  'no right to map changed rows to keys': {
    sql: 'revoke execute on function cache_dependents(text, text[]) from $role',
    level: 'warning',
    check: 'rights',
    says: /no right to execute on public\.cache_dependents\(.*: keys of bound tables are not served from memory/,
    cure: /grant execute on function/,
  },
  'no right to see what a query reads': {
    sql: 'revoke execute on function cache_uses(regprocedure) from $role, public',
    check: 'rights',
    says: /execute on public\.cache_uses\(regprocedure\): the feed cannot tell what bound queries read/,
    cure: /grant execute on function/,
  },
  'no right to draw a version': {
    sql: 'revoke usage on sequence cache_version from public, $role',
    check: 'rights',
    says: /usage on cache_version: no entry can be set/,
    cure: /grant usage on/,
  },
  'no right to see the position': {
    sql: 'revoke select on sequence cache_version from public, $role',
    check: 'rights',
    says: /select on cache_version: the feed cannot tell/,
    cure: /grant select on/,
  },
  'no right to call a function': {
    sql: `revoke execute on function cache_epoch_of(regclass, regclass), cache_history(text, regclass, regclass)
          from public, $role`,
    check: 'rights',
    says: /execute on public.cache_epoch_of\(regclass,regclass\), execute on public.cache_history/,
    cure: /grant execute on function public.cache_epoch_of/,
  },
  'no right to read the migrations': {
    sql: 'revoke select on cache_migrations from $role',
    level: 'warning',
    check: 'migrations',
    says: /may not read cache_migrations.*only "serve --no-migrate" works/,
    cure: /grant select on .*cache_migrations/,
  },
  'no right to use the schema': {
    sql: 'revoke usage on schema public from public, $role',
    check: 'table',
    says: /no right to use the schema public, which has cache_entries/,
    cure: /grant usage on schema/,
  },
  'no right to connect': {
    sql: 'revoke connect on database $database from public, $role',
    check: 'DATABASE_URL',
    says: /permission denied for database/,
    cure: /grant connect on database/,
  },
  'no right to log in': {
    sql: 'alter role $role nologin',
    check: 'DATABASE_URL',
    says: /not permitted to log in/,
    cure: /alter role .* login/,
  },

  // --- Row-level security ---
  'row-level security without a policy': {
    sql: 'alter table cache_entries enable row level security',
    check: 'probe row',
    says: /a set fails: new row violates row-level security policy.*42501/,
    cure: /create policy caching_layer on/,
  },
  'row-level security that hides rows': {
    sql: `alter table cache_entries enable row level security;
          create policy part on cache_entries using (value <> 'secret') with check (true)`,
    level: 'warning',
    check: 'row-level security',
    says: /policies of cache_entries apply to role .*: rows that they hide are absent/,
    cure: /create policy caching_layer on/,
  },
  'a restrictive policy that hides rows': {
    sql: `alter table cache_entries enable row level security;
          create policy caching_layer on cache_entries using (true) with check (true);
          grant pg_signal_backend to $role;
          create policy strict on cache_entries as restrictive to pg_signal_backend
            using (value <> 'secret') with check (true)`,
    level: 'warning',
    check: 'row-level security',
    says: /policies of cache_entries apply to role .*: rows that they hide are absent/,
    cure: /^run as the owner, "[^"]+": drop policy "strict" on "public"\.cache_entries$/,
  },
  'policies for some statements and for others': {
    sql: `alter table cache_entries enable row level security;
          create policy reading on cache_entries for select using (true);
          create policy adding on cache_entries for insert with check (true);
          create policy changing on cache_entries for update using (true) with check (true);
          create policy removing on cache_entries for delete using (value <> 'secret');
          create policy strict on cache_entries as restrictive to $owner using (false)`,
    level: 'warning',
    check: 'row-level security',
    says: /policies of cache_entries apply to role /,
    cure: /: create policy caching_layer on "public"\.cache_entries to "[^"]+" using \(true\) with check \(true\)$/,
  },
  'a restrictive policy': {
    sql: `alter table cache_entries enable row level security;
          create policy caching_layer on cache_entries using (true) with check (true);
          create policy strict on cache_entries as restrictive using (true) with check (false)`,
    check: 'probe row',
    says: /a set fails: new row violates row-level security policy "strict"/,
    cure: /drop policy "strict" on/,
  },
  'row-level security of the marks': {
    sql: 'alter table cache_marks enable row level security',
    check: 'probe row',
    says: /a mark fails: .*row-level security/,
    cure: /create policy caching_layer on \W*public\W+cache_marks/,
  },
  'row-level security that the role has switched off': {
    sql: `alter table cache_entries enable row level security;
          create policy caching_layer on cache_entries using (true) with check (true);
          alter role $role set row_security = off`,
    check: 'probe row',
    says: /would be affected by row-level security/,
    cure: /alter role .* reset row_security/,
  },
}

await testFaults(t, faults)
