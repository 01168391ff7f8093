import t from 'tap'
import { type Fault, type Place, testFaults } from '../../support/doctor-faults.js'
import { bindFilmPage, filmTables } from '../../support/film-tables.js'

/** Binds a query whose tables the sidecar's role may read, as their owner. */
const bound =
  (...more: readonly string[]) =>
  async ({ owner, role }: Place) => {
    await owner.query(filmTables)
    await owner.query(bindFilmPage)
    await owner.query(`grant select on film, film_actor, actor to ${role}`)
    for (const sql of more) await owner.query(sql.replaceAll('$role', role))
  }

const check = 'binding film_page:{id}'
const again = /^run as the owner: select cache_bind_query\(pattern, .* where pattern = 'film_page:\{id\}'$/

const faults: Readonly<Record<string, Fault>> = {
  'a role that may not read a table': {
    make: bound('revoke select on actor from $role'),
    check,
    says: /the role .* may not read public\.actor: its keys are answered with 503$/,
    cure: /^run as the owner: grant select on public\.actor to /,
  },
  'a role that may not call the query': {
    make: bound(`do $$ begin execute (select format('revoke execute on function %s from public', oid::regprocedure)
      from pg_proc where proname ~ '^cache_query_[0-9a-f]{12}$'); end $$`),
    check,
    says: /may not read the query/,
    cure: /^run as the owner: grant execute on function public\.cache_query_\w+ to /,
  },
  'a trigger that was dropped': {
    make: bound(`do $$ begin execute (select 'drop trigger ' || tgname || ' on actor' from pg_trigger
      where tgrelid = 'actor'::regclass and tgname like '%\\_row'); end $$`),
    check,
    says: /changes of public\.actor are not announced/,
    cure: again,
  },
  'a table that was replaced': {
    make: bound(
      'alter table actor rename to former',
      'create table actor (actor_id int primary key, name text)',
      'grant select on actor to $role',
    ),
    check,
    says: /public\.actor is another table than the one/,
    cure: again,
  },
  'tables that were dropped': {
    make: bound('drop table actor cascade'),
    check,
    says: /the table public\.actor was dropped/,
    cure: /select cache_unbind\('film_page:\{id\}'\)$/,
  },
  'a function that was dropped': {
    make: bound(`do $$ begin execute (select format('drop function %s', oid::regprocedure)
      from pg_proc where proname ~ '^cache_query_[0-9a-f]{12}$'); end $$`),
    check,
    says: /the function of the query was dropped/,
    cure: again,
  },
  'a column that leads to keys, which was renamed': {
    make: bound('alter table actor rename column actor_id to id'),
    check,
    says: /there is no column public\.actor\.actor_id/,
    cure: /^bind the query with other columns, or run as the owner: select cache_unbind\(/,
  },
  'no right to read the bindings': {
    sql: 'revoke select on cache_bound_queries, cache_dependencies from $role, public',
    check: 'rights',
    says: /no right to select on cache_bound_queries, select on cache_dependencies: the feed cannot tell which keys/,
    cure: /grant select on/,
  },
}

t.test('doctor finds each fault of a bound query, and its cure works', (t) => testFaults(t, faults))
