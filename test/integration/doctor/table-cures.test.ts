import t from 'tap'
import { asOwner, asRole, type Fault, testFaults } from '../../support/doctor-faults.js'

const gone = {
  level: 'bad',
  check: 'migrations',
  says: /created is gone/,
  cure: /^run "caching-layer migrate" as the owner/,
} as const

const trigger = (body: string) => `
  create function others() returns trigger language plpgsql as $$begin ${body} end$$;
  create trigger others before insert or update on cache_entries for each row execute function others()`

const faults: Readonly<Record<string, Fault>> = {
  // --- The table ---
  'no migration yet': {
    sql: 'drop table cache_entries, cache_migrations, cache_marks',
    environment: asOwner,
    check: 'migrations',
    says: /not applied yet/,
    cure: /^run "caching-layer migrate" as the owner/,
  },
  'a table that was dropped': { ...gone, sql: 'drop table cache_entries', environment: asOwner },
  'marks that were dropped': { ...gone, sql: 'drop table cache_marks' },
  'a function that was dropped': { ...gone, sql: 'drop function cache_epoch_of cascade' },
  'a trigger that was dropped': { ...gone, sql: 'drop trigger cache_entries_3_deleted on cache_entries' },
  'a column that was dropped': { ...gone, sql: 'alter table cache_entries drop column content_type cascade' },
  'another column that was dropped': { ...gone, sql: 'alter table cache_entries drop column expires_at' },
  'the value column dropped': {
    sql: "insert into cache_entries values ('k', 'v'); alter table cache_entries drop column value cascade",
    check: 'table',
    says: /lacks the column value/,
    cure: /truncate .*add column value text not null/,
  },
  'the time column dropped': {
    sql: 'alter table cache_entries drop column updated_at cascade',
    check: 'table',
    says: /lacks the column updated_at/,
    cure: /add column updated_at timestamp not null default now\(\)/,
  },
  'a migration that was altered': {
    sql: "update cache_migrations set checksum = 'x' || checksum where name like '0001%'",
    check: 'migrations',
    says: /0001_cache_entries.sql differ from what was applied/,
    cure: /the files in sql\/ must be those of a release/,
    apply: async (place) => {
      await place.superuser.query(
        "update cache_migrations set checksum = substr(checksum, 2) where name like '0001%'",
      )
      return asRole(place)
    },
  },
  'a foreign table of that name': {
    sql: `drop table cache_entries;
          create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
          create foreign table cache_entries (key text, value text) server nowhere;
          alter foreign table cache_entries owner to $owner`,
    environment: asOwner,
    check: 'table',
    says: /public.cache_entries is a foreign table of role/,
    cure: /alter foreign table .* rename to cache_entries_before; then run "caching-layer migrate"/,
  },
  'a view of that name': {
    sql: `drop table cache_entries; create view cache_entries as select 'k' as key, 'v' as value;
          alter view cache_entries owner to $owner`,
    environment: asOwner,
    check: 'table',
    says: /public.cache_entries is a view of role/,
    cure: /alter view .* rename to cache_entries_before/,
  },
  'a partitioned table of that name': {
    sql: `drop table cache_entries; create table cache_entries (key text primary key, value text) partition by hash (key);
          alter table cache_entries owner to $owner`,
    environment: asOwner,
    check: 'table',
    says: /public.cache_entries is a partitioned table of role/,
    cure: /alter table .* rename to cache_entries_before/,
  },
  'a child by inheritance': {
    sql: 'create table child () inherits (cache_entries); alter table child owner to $owner',
    check: 'table',
    says: /by inheritance/,
    cure: /alter table child no inherit cache_entries/,
  },
  'no unique key': {
    sql: 'alter table cache_entries drop constraint cache_entries_pkey',
    check: 'table',
    says: /no unique index on key/,
    cure: /create unique index on "public".cache_entries \(key\)/,
  },
  'a primary key on more than the key': {
    sql: `alter table cache_entries drop constraint cache_entries_pkey;
      alter table cache_entries add primary key (key, version)`,
    check: 'table',
    says: /no unique index on key/,
    cure: /create unique index on "public".cache_entries \(key\)/,
  },
  'a key of another type': {
    sql: 'alter table cache_entries alter column key type char(100)',
    check: 'table',
    says: /a key of type character/,
    cure: /alter column key type text/,
  },
  'a version of another type': {
    sql: 'alter table cache_entries alter column version type text',
    check: 'table',
    says: /columns of another type than in sql\/: version text/,
    cure: /alter column version type bigint using version::bigint/,
  },
  'a trigger that is disabled': {
    sql: 'alter table cache_entries disable trigger cache_entries_3_updated',
    check: 'triggers',
    says: /trigger cache_entries_3_updated is not enabled always/,
    cure: /enable always trigger cache_entries_3_updated/,
  },
  'a schema where everybody may create': {
    sql: 'grant create on schema public to public',
    check: 'schema',
    says: /every role may create objects in it/,
    cure: /revoke create on schema/,
  },
  'a sequence that has come to its end': {
    sql: "alter sequence cache_version no cycle; select setval('cache_version', 549755813887)",
    check: 'probe row',
    says: /a set fails: .*reached maximum value.*2200H/,
    cure: /alter sequence .*cache_version maxvalue 549755813887 cycle/,
  },

  // --- What others have added to the table ---
  "a stranger's trigger that refuses": {
    sql: trigger("raise exception 'not here';"),
    check: 'probe row',
    says: /a set fails: not here \(SQLSTATE P0001\)/,
    cure: /drop trigger "others" on \W*public\W+cache_entries/,
  },
  "a stranger's trigger that leaves rows out": {
    sql: trigger('return null;'),
    check: 'probe row',
    says: /a set fails: the row is missing/,
    cure: /drop trigger "others" on/,
  },
  "a stranger's trigger without rights": {
    sql: `create table log (key text); ${trigger('insert into log values (new.key); return new;')}`,
    check: 'probe row',
    says: /a set fails: permission denied for table log/,
    cure: /drop trigger "others" on/,
  },
  "a stranger's trigger that changes values": {
    sql: trigger("new.value := 'other'; return new;"),
    level: 'warning',
    check: 'other triggers',
    says: /others \(a function of ".*"\): after each set, sidecars read the entry again/,
    cure: /^if that is not intended, .*drop trigger "others" on/,
  },
  'a trigger that refuses at the commit': {
    sql: `create function others() returns trigger language plpgsql as $$begin raise exception 'too late'; end$$;
          create constraint trigger others after insert on cache_entries deferrable initially deferred
            for each row execute function others()`,
    check: 'probe row',
    says: /a commit fails: too late/,
    cure: /drop trigger "others" on/,
  },
  'a rule': {
    sql: 'create rule others as on insert to cache_entries do instead nothing',
    check: 'table',
    says: /has the rule others/,
    cure: /drop rule "others" on/,
  },
  'a short key': {
    sql: 'alter table cache_entries alter column key type varchar(20)',
    check: 'probe row',
    says: /a set fails: value too long.*22001/,
    cure: /alter table "public".cache_entries alter column "key" type text/,
  },
  'a column of the marks that was dropped': {
    sql: 'alter table cache_marks drop column lineage',
    check: 'probe row',
    says: /42703/,
    cure: /drop table "public".cache_marks.* then run "caching-layer migrate"/,
  },
  'a column that wants a value': {
    sql: 'alter table cache_entries add column tenant text not null',
    check: 'probe row',
    says: /a set fails: null value in column "tenant"/,
    cure: /alter column "tenant" drop not null/,
  },
  'a check constraint': {
    sql: "alter table cache_entries add constraint ours check (key like 'app:%')",
    level: 'warning',
    check: 'probe row',
    says: /a set: .*violates check constraint "ours"/,
    cure: /^if that is not intended, .*drop constraint "ours"/,
  },
  'a foreign key': {
    sql: `create table keys (key text primary key);
          alter table cache_entries add constraint listed foreign key (key) references keys`,
    check: 'probe row',
    says: /violates foreign key constraint "listed"/,
    cure: /drop constraint "listed"/,
  },
  'a lock on the table': {
    make: async ({ superuser }) => {
      await superuser.query('begin')
      await superuser.query("set application_name = 'somebody'")
      await superuser.query('lock table cache_entries in access exclusive mode')
    },
    check: 'probe row',
    says: /fails: .*lock timeout.*55P03/,
    cure: /\(somebody\) holds a lock on .*pg_terminate_backend/,
    apply: async (place) => {
      await place.superuser.query('rollback')
      return asRole(place)
    },
  },
}

await testFaults(t, faults)
