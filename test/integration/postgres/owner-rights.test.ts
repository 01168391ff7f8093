/** Tests that no other role can get the rights of the owner of cache_entries, or those of a sidecar. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import t, { type Test } from 'tap'
import { migrate } from '../../../src/postgres/schema/migrate.js'
import { migrationStatus } from '../../../src/postgres/schema/migration-status.js'
import { CliProcess } from '../../support/child-process.js'
import { cacheDatabase, type FreshDatabase, freshDatabase } from '../../support/database.js'
import { earlierRelease } from '../../support/earlier-release.js'
import { eventually } from '../../support/eventually.js'
import { blamed } from '../../support/feed-reason.js'
import { guestOf } from '../../support/guest.js'
import { plantImpostors } from '../../support/impostors.js'
import { startLiveSidecar, startSidecar } from '../../support/sidecar.js'

interface Role {
  readonly name: string
  readonly url: string
  readonly client: pg.Client
}

/** Creates a role with no right but the one to connect, which every role has by default. */
async function strangerIn(t: Test, database: FreshDatabase): Promise<Role> {
  const { query } = await freshDatabase(t)
  const name = `test_${randomUUID().replaceAll('-', '_')}`
  await query(`create role ${name} login password 'secret'`)
  t.teardown(async () => {
    await client.end()
    await database.drop()
    await query(`drop role ${name}`)
  })
  const url = Object.assign(new URL(database.url), { username: name, password: 'secret' }).href
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  return { name, url, client }
}

/** A database that an ordinary role owns, as in production, and a stranger. */
async function sharedDatabase(t: Test) {
  const database = await freshDatabase(t)
  const owner = await guestOf(t, database)
  const stranger = await strangerIn(t, database)
  return { database, owner, stranger }
}

/** Lets everybody create in public, as PostgreSQL 14 does and databases upgraded from it still do. */
const everybodyMayCreate = ({ query }: FreshDatabase) => query('grant create on schema public to public')

t.test('no function runs with the rights of its owner', async (t) => {
  const { query } = await cacheDatabase(t)
  const { rows } = await query(
    "select proname as name from pg_proc where pronamespace = 'public'::regnamespace and prosecdef",
  )
  t.same(rows, [])
})

t.test('a trigger from before the migration runs nothing as the owner', async (t) => {
  const { database, owner, stranger } = await sharedDatabase(t)
  const release = await earlierRelease('0.1.0')
  const before = new CliProcess(t, ['migrate'], { DATABASE_URL: owner.url }, { release })
  t.equal((await before.exited).code, 0)
  const { client } = stranger
  await client.query(`
    create temporary table seen (as_role text);
    grant all on seen to public;
    create temporary sequence cache_version;
    grant all on cache_version to public;
    create function pg_temp.note(anyelement) returns boolean language plpgsql as
      $$begin insert into pg_temp.seen values (current_user); return true; end$$;
    create domain pg_temp.number as bigint check (pg_temp.note(value));
    create temporary table mine (key text, value text, content_type text, version pg_temp.number);
    create trigger mine before insert on mine for each row execute function cache_stamp()`)
  await client.query("insert into mine (key, value, version) values ('k', 'v', 1)")
  t.same(
    (await client.query('select distinct as_role from seen where as_role = $1', [owner.name])).rows,
    [{ as_role: owner.name }],
    'the hole',
  )
  await client.query('delete from seen')

  await migrate(owner.url)
  await client.query("insert into mine (key, value, version) values ('k', 'v', 1)").catch(() => undefined)
  t.same(
    (await client.query('select distinct as_role from seen where as_role <> $1', [stranger.name])).rows,
    [],
  )
  await database.query('select 1')
})

t.test('no function looks up names in a schema in which others may create', async (t) => {
  const { query } = await cacheDatabase(t)
  const { rows } = await query<{ name: string; config: string[] | null; source: string }>(
    `select proname as name, proconfig as config, prosrc as source from pg_proc
     where pronamespace = 'public'::regnamespace and prosqlbody is null
       and proname <> 'cache_copy_grants' -- which migrations alone call, with a search path of theirs
     order by 1`,
  )
  t.ok(rows.length > 0)
  for (const { name, config, source } of rows) {
    const isPinned = config?.includes('search_path=pg_catalog, pg_temp')
    // Functions of ours with exactly these argument types cannot be there twice; only migrations call
    // cache_copy_grants.
    const callsNothing = !/\w\s*\(/.test(
      source
        .replaceAll(/--.*/g, '')
        .replaceAll(/\b(?:and|from|in|over)\s+\(|\bleast\(|\bas \w+ \(/g, '')
        .replaceAll(/pg_catalog\.\w+\s*\(/g, '')
        .replaceAll(/operator\(pg_catalog\.\S+\)/g, '')
        .replaceAll(/\bcache_epoch(_of)?\(/g, ''),
    )
    t.ok(isPinned || callsNothing, `${name} is pinned to pg_catalog, or calls nothing without its schema`)
  }
})

t.test('a domain on a temporary table runs no foreign code as the owner', async (t) => {
  const { database, owner, stranger } = await sharedDatabase(t)
  await migrate(owner.url)
  const { rows: functions } = await database.query<{ name: string }>(
    `select oid::regprocedure::text as name from pg_proc
     where pronamespace = 'public'::regnamespace and prorettype = 'trigger'::regtype`,
  )
  t.ok(functions.length >= 5)
  const { client } = stranger
  await client.query(`
    create temporary table seen (as_role text);
    grant all on seen to public;
    create function pg_temp.note(anyelement) returns boolean language plpgsql as
      $$begin insert into pg_temp.seen values (current_user); return true; end$$;
    create domain pg_temp.number as bigint check (pg_temp.note(value));
    create domain pg_temp.words as text check (pg_temp.note(value));
    create type pg_temp.evil as enum ('x');
    create function pg_temp.evil_json(pg_temp.evil) returns json language plpgsql as
      $$begin insert into pg_temp.seen values (current_user); return '1'; end$$;
    create cast (pg_temp.evil as json) with function pg_temp.evil_json(pg_temp.evil) as implicit;
    create function pg_temp.evil_text(pg_temp.evil) returns text language plpgsql as
      $$begin insert into pg_temp.seen values (current_user); return 'x'; end$$;
    create cast (pg_temp.evil as text) with function pg_temp.evil_text(pg_temp.evil) as implicit`)
  let attached = 0
  for (const { name } of functions) {
    for (const [key, value, version] of [
      ['text', 'pg_temp.words', 'pg_temp.number'],
      ['pg_temp.evil', 'text', 'bigint'],
    ]) {
      for (const events of ['before insert or update', 'after insert or update or delete']) {
        for (const transition of ['', 'insert', 'update', 'delete']) {
          await client.query('drop table if exists pg_temp.cache_entries')
          await client.query(`create temporary table cache_entries
            (key ${key}, value ${value}, content_type text, version ${version})`)
          const tables = {
            '': '',
            insert: 'referencing new table as changed',
            update: 'referencing old table as before new table as changed',
            delete: 'referencing old table as changed',
          }
          const what =
            transition === ''
              ? `${events} on pg_temp.cache_entries for each row`
              : `after ${transition} on pg_temp.cache_entries ${tables[transition as 'insert']} for each statement`
          try {
            await client.query(`create trigger mine ${what} execute function ${name}`)
            attached++
          } catch {
            continue
          }
          for (const sql of [
            "insert into pg_temp.cache_entries (key, value, version) values ('x', 'a', 1)",
            "update pg_temp.cache_entries set value = 'b', version = 2",
            'delete from pg_temp.cache_entries',
          ]) {
            await client.query(sql).catch(() => undefined)
          }
        }
      }
    }
  }
  t.ok(attached > 0, 'some may be attached')
  const { rows } = await client.query('select distinct as_role from pg_temp.seen')
  t.same(rows, [{ as_role: stranger.name }], 'and run with the rights of who attached them')
})

t.test('functions and operators that others created in public are not run', async (t) => {
  const { database, owner, stranger } = await sharedDatabase(t)
  await everybodyMayCreate(database)
  await migrate(owner.url)
  await plantImpostors(stranger.url)
  const { query } = database

  await t.test('by the triggers', async (t) => {
    await query("insert into cache_entries (key, value) values ('a', '1'), ('b', '2')")
    await query("update cache_entries set value = value || 'x', key = key || 'y'")
    await query(
      "insert into cache_entries (key, value) select 'n' || n::text, 'x' from pg_catalog.generate_series(1, 20000) as n",
    )
    await query('delete from cache_entries')
    await query('truncate cache_entries')
    const superuser = new pg.Client({ connectionString: database.url })
    await superuser.connect()
    await superuser.query("set session_replication_role = 'replica'")
    await superuser.query("insert into cache_entries (key, value) values ('a', '1')")
    await superuser.query("update cache_entries set key = 'b'")
    await superuser.query('delete from cache_entries')
    await superuser.end()
    t.pass('nothing was raised')
  })

  await t.test('by a sidecar', async (t) => {
    const { client, log } = await startLiveSidecar(t, { databaseUrl: owner.url })
    const keys = Array.from({ length: 20 }, (_, index) => `k${index}`)
    for (const { body } of await Promise.all(keys.map((key) => client.set(key, 1))))
      t.match(body, { ok: true, db_written: true })
    t.equal((await client.set('alone', { a: 1 })).body.db_written, true)
    await query("update cache_entries set value = 'by SQL', content_type = null")
    for (const read of await Promise.all(
      keys.map((key) => client.request('GET', `/cache/get?key=${key}&consistency=strong`)),
    ))
      t.equal(read.body.value, 'by SQL')
    await eventually(async () => (await client.held('alone')) === 'by SQL')
    t.equal((await client.request('GET', '/cache/get?key=alone&consistency=strong')).body.value, 'by SQL')
    t.match((await client.delete('alone')).body, { db_removed: true })

    await t.test('pending writes', async () => {
      await owner.shutOut()
      await eventually(async () => (await client.set('kept', 2)).body.db_written === false)
      await client.delete('k1')
      await owner.letIn()
      await eventually(async () => (await client.stats()).writes.pending_settled >= 2)
    })
    t.notMatch(log.join(''), /impostor/)
  })

  await t.test('by the commands', async (t) => {
    const environment = { DATABASE_URL: owner.url }
    await query('alter table cache_entries add column "team\'s own" varchar')
    await query("insert into cache_entries (key, value, \"team's own\") values ('own', '1', 'x')")
    for (const [args, code] of [
      [['migrate', '--status'], 0],
      [['migrate'], 0],
      [['doctor'], 1], // which says that everybody may create in the schema
    ] as const) {
      const command = new CliProcess(t, args, environment)
      t.equal((await command.exited).code, code, `${args.join(' ')}: ${command.stdout}${command.stderr}`)
      if (code === 1) t.match(command.stdout.match(/^✘.*$/gm), [/^✘ schema: .* revoke create on schema/])
      t.notMatch(command.stdout + command.stderr, /impostor/)
    }
    const backup = new CliProcess(t, ['backup', '--compress=none'], environment)
    t.equal((await backup.exited).code, 0, backup.stderr)
    const restore = new CliProcess(t, ['restore', '--mode=replace'], environment, { stdin: 'pipe' })
    restore.child.stdin?.end(backup.stdout)
    t.equal((await restore.exited).code, 0, restore.stderr)
  })

  await t.test('by migrate, which refuses to begin beside them', async (t) => {
    await query('delete from cache_migrations where name like $1', ['0005%'])
    await t.rejects(migrate(owner.url), {
      message: new RegExp(`belongs to role "${stranger.name}".*revoke create`),
    })
  })
})

t.test('a table of the right name that another role has created is refused', async (t) => {
  const planted = [
    [
      'cache_migrations',
      'a view',
      "create view cache_migrations as select 'x'::text as name, 'y'::text as checksum, spy() as spied",
    ],
    [
      'cache_migrations',
      'a table',
      'create table cache_migrations (name text primary key, checksum text not null)',
    ],
    [
      'cache_entries',
      'a table',
      'create table cache_entries (key text primary key, value text not null, updated_at timestamp not null default now())',
    ],
    ['cache_entries', 'a view', "create view cache_entries as select 'x'::text as key, spy()::text as value"],
  ] as const
  for (const [name, kind, sql] of planted) {
    await t.test(`${name}, ${kind}`, async (t) => {
      const { database, owner, stranger } = await sharedDatabase(t)
      await everybodyMayCreate(database)
      await stranger.client.query(`
        create table spied (as_role text);
        grant all on spied to public;
        create function spy() returns boolean language plpgsql as
          $$begin insert into public.spied values (current_user); return true; end$$`)
      await stranger.client.query(sql)
      await stranger.client.query(`grant all on ${name} to public`)
      for (const url of [owner.url, database.url]) {
        await t.rejects(migrate(url), { message: new RegExp(`^public.${name} .*"${stranger.name}"`) })
        if (kind === 'a view')
          await t.rejects(migrationStatus(url), { message: new RegExp(`public.${name} is a view`) })
      }
      t.same((await database.query('select * from spied')).rows, [], 'its functions have not run')
    })
  }
})

t.test('migrate --owner transfers nothing that belongs to another role', async (t) => {
  const overload = `create function public.cache_epoch(code text) returns void language plpgsql security definer as
    $$begin execute code; end$$`
  const table =
    'create table cache_entries (key text primary key, value text not null, updated_at timestamp not null default now())'
  for (const planted of [overload, table]) {
    const { database, owner, stranger } = await sharedDatabase(t)
    await everybodyMayCreate(database)
    if (planted === overload) {
      const release = await earlierRelease('0.1.0')
      const before = new CliProcess(t, ['migrate'], { DATABASE_URL: database.url }, { release })
      t.equal((await before.exited).code, 0)
    }
    await stranger.client.query(planted)
    const command = new CliProcess(t, ['migrate', `--owner=${owner.name}`], { DATABASE_URL: database.url })
    t.equal((await command.exited).code, 1)
    t.match(command.stderr, new RegExp(`^caching-layer: .* belongs to role "${stranger.name}".*\\n$`))
    const { rows } = await database.query(
      `select relname from pg_class where relname like 'cache%' and relowner = $1::regrole
       union all select proname from pg_proc where proname like 'cache%' and proowner = $1::regrole`,
      [owner.name],
    )
    t.same(rows, [], 'nothing has been given')
  }
})

t.test("the function of a trigger that another role's table brought along", async (t) => {
  const { database, owner, stranger } = await sharedDatabase(t)
  await everybodyMayCreate(database)
  await stranger.client.query(`
    create function spy() returns trigger language plpgsql as $$begin return new; end$$;
    create table cache_entries (key text primary key, value text not null, updated_at timestamp not null default now());
    create trigger spy before insert on cache_entries for each row execute function spy()`)
  await database.query(`alter table cache_entries owner to ${owner.name}`)
  await t.rejects(migrate(owner.url), {
    message: /^trigger spy of public.cache_entries runs a function of role/,
  })
})

t.test("a superuser uses no ordinary role's table", async (t) => {
  const { database, owner } = await sharedDatabase(t)
  await migrate(owner.url)
  const environment = { DATABASE_URL: database.url }
  const refused = new RegExp(`cache_entries belongs to role ..?${owner.name}..?, which is not a superuser`)
  for (const args of [['migrate'], ['migrate', '--status'], ['backup']]) {
    const command = new CliProcess(t, args, environment)
    t.equal((await command.exited).code, 1, args.join(' '))
    t.match(command.stderr, refused)
  }
  const doctor = new CliProcess(t, ['doctor'], environment)
  t.equal((await doctor.exited).code, 1)
  t.match(doctor.stdout, refused)
  const sidecar = await startSidecar(t, { databaseUrl: database.url, migrate: false })
  const { client } = sidecar
  await blamed(t, sidecar, refused)
  const { status, body } = await client.set('k', 1)
  t.not(body.db_written, true, `${status}`)
  t.same((await database.query('select from cache_entries')).rows, [])
})

t.test('a role that may only connect cannot hold up a migration', async (t) => {
  const { owner, stranger } = await sharedDatabase(t)
  const release = await earlierRelease('0.1.0')
  const before = new CliProcess(t, ['migrate'], { DATABASE_URL: owner.url }, { release })
  t.equal((await before.exited).code, 0)
  await stranger.client.query(
    "create temporary view mine as select cache_change('a', 1, false), cache_epoch()",
  )
  await stranger.client.query(
    "select pg_advisory_lock(hashtextextended('caching-layer migrations in public', 0))",
  )
  t.ok((await migrate(owner.url)).length > 0)
})

t.test('one owner for everything: migrate --owner', async (t) => {
  const { database, owner } = await sharedDatabase(t)
  // The state that a superuser leaves who migrated the table of the original service.
  await database.query(
    'create table cache_entries (key text primary key, value text not null, updated_at timestamp not null default now())',
  )
  await migrate(database.url)
  await database.query(`alter table cache_entries owner to ${owner.name}`)
  await t.rejects(migrate(database.url), { message: new RegExp(`--owner=${owner.name}`) })

  const command = new CliProcess(t, ['migrate', `--owner=${owner.name}`], { DATABASE_URL: database.url })
  t.equal((await command.exited).code, 0, command.stderr)
  const { rows } = await database.query<{ name: string; owner: string }>(
    `select relname as name, pg_get_userbyid(relowner) as owner from pg_class
     where relname in ('cache_entries', 'cache_migrations', 'cache_version')
     union all
     select proname, pg_get_userbyid(proowner) from pg_proc where pronamespace = 'public'::regnamespace`,
  )
  t.ok(rows.length > 8)
  for (const row of rows) t.equal(row.owner, owner.name, row.name)
  t.same(await migrate(owner.url), [], 'the owner goes on')
})
