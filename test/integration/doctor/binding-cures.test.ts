import t from 'tap'
import { type Fault, type Place, testFaults } from '../../support/doctor-faults.js'

/** Binds a table that the sidecar's role may read, as its owner. */
const bound =
  (...more: readonly string[]) =>
  async ({ owner, role }: Place) => {
    await owner.query('create table products (id int primary key, name text, price numeric)')
    await owner.query(
      "select cache_bind('products', key => 'product:{id}', columns => array['id', 'name'], in_group => 'shop')",
    )
    await owner.query(`grant select on products to ${role}`)
    for (const sql of more) await owner.query(sql.replaceAll('$role', role))
  }

const check = 'binding product:{id}'

const faults: Readonly<Record<string, Fault>> = {
  'a role that may not read the table': {
    make: bound('revoke select on products from $role'),
    check,
    says: /the role .* may not read public\.products: its keys are answered with 503$/,
    cure: /^run as the owner: grant select on public\.products to /,
  },
  'a role that may not use the schema': {
    make: bound('create schema shop', 'alter table products set schema shop'),
    check,
    says: /the role .* may not read shop\.products/,
    cure: /^run as the owner: grant usage on schema shop to /,
  },
  'a trigger that was dropped': {
    make: bound(`do $$ begin execute (select 'drop trigger ' || tgname || ' on products' from pg_trigger
      where tgrelid = 'products'::regclass and tgname like '%\\_row'); end $$`),
    check,
    says: /changes of public\.products are not announced.*\(row\)/,
    cure: /select cache_bind\('public\.products', key => 'product:\{id\}', columns => array\['id', 'name'\], in_group => 'shop'\)$/,
  },
  'a table that was replaced': {
    make: bound(
      'alter table products rename to former',
      'create table products (id int primary key, name text)',
      'grant select on products to $role',
    ),
    check,
    says: /public\.products is another table than the one that was bound/,
    cure: /select cache_bind\(/,
  },
  'a table that was dropped': {
    make: bound('drop table products'),
    check,
    says: /the table public\.products was dropped/,
    cure: /select cache_unbind\(/,
  },
  'a column of the answer that was dropped': {
    make: bound('alter table products drop column name'),
    check,
    says: /has no column name/,
    cure: /columns => array\['id'\]/,
  },
  'a column of the key that was dropped': {
    make: bound('alter table products drop column id cascade'),
    check,
    says: /has no column id of a type that a key can have/,
    cure: /^give the column back, or run as the owner: select cache_unbind\(/,
  },
  'a unique index that was dropped': {
    make: bound('alter table products drop constraint products_pkey'),
    check,
    says: /no unique index on id/,
    cure: /create unique index concurrently on public\.products \(id\)/,
  },
  'a database that was restored from a dump': {
    make: bound(`alter table cache_outbox rename to former_outbox; drop index cache_outbox_xid;
      create unlogged table cache_outbox (like former_outbox including all);
      grant select, delete on cache_outbox to $role; drop table former_outbox`),
    level: 'warning',
    check,
    says: /the database was restored, and its triggers take several times as long/,
    cure: /^run as the owner: select cache_bind\('public\.products', key => 'product:\{id\}'/,
  },
  'a function of a stranger': {
    make: async (place) => {
      await bound()(place)
      const { rows } = await place.superuser.query(
        `select tgfoid::regprocedure::text as name from pg_trigger where tgrelid = 'products'::regclass and tgname like '%\\_row'`,
      )
      await place.superuser.query(`alter function ${rows[0].name} owner to ${place.role}`)
    },
    check,
    says: /the triggers of public\.products run a function of role /,
    cure: /^run as a superuser: alter function public\.cache_announce_\w+\(\) owner to /,
  },
  'no right to read the bindings': {
    sql: 'revoke select on cache_bound_tables from $role, public',
    check: 'rights',
    says: /no right to select on cache_bound_tables: the feed cannot tell which keys are bound/,
    cure: /grant select on/,
  },
  'no right to invalidate bound keys': {
    sql: 'revoke update (invalidations) on cache_bound_tables from $role',
    level: 'warning',
    check: 'rights',
    says: /no right to update on invalidations of cache_bound_tables: keys that are bound to tables cannot be invalidated/,
    cure: /grant update \(invalidations\) on/,
  },
  'no right to remove entries': {
    sql: 'revoke execute on function cache_remove, cache_invalidate_bound from $role, public',
    level: 'warning',
    check: 'rights',
    says: /entries cannot be removed by key, group or prefix/,
    cure: /^if that is not intended, .*grant execute on function/,
  },
}

t.test('doctor finds each fault of a binding, and its cure works', (t) => testFaults(t, faults))
