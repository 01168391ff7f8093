import pg from 'pg'
import { alterInSql } from '../entry-value.js'
import type { Fleet } from '../fleet/fleet.js'
import type { Recorder } from '../oracle/recorder.js'
import { Spell } from '../oracle/spell.js'
import type { Workload } from '../workload.js'
import type { Pause, Timing } from './fault-timing.js'
import type { FaultKind, PlannedFault } from './schedule.js'

export interface TableFaultParts {
  readonly fleet: Fleet
  readonly recorder: Recorder
  readonly workload: Workload
}

/** Time to live in ms of all rows that are written during the fault. */
const lifetimeMs = 3_000

/** Sets a default on `expires_at`. Ends when the rows that got it have expired. */
export async function ownDefault(
  { fleet, recorder }: TableFaultParts,
  { durationMs }: Timing,
  pause: Pause,
): Promise<undefined> {
  const spell = new Spell(performance.now())
  recorder.expires(spell, lifetimeMs)
  await inForce(fleet, spell, {
    make: `alter table cache_entries alter column expires_at
           set default now() + interval '${lifetimeMs} milliseconds'`,
    remove: 'alter table cache_entries alter column expires_at drop default',
    during: () => pause(durationMs),
  })
  await pause(lifetimeMs + 500)
}

/** Keys that are written again and again, and not those that are written once. */
const concerned = "new.key like 'k%'"

const triggers: Partial<Record<FaultKind, string>> = {
  'own BEFORE trigger': `
    create function chaos_alter() returns trigger language plpgsql as $$
    begin
      new.value := ${alterInSql.replaceAll('value', 'new.value')};
      return new;
    end $$;
    create trigger chaos before insert or update on cache_entries
      for each row when (${concerned}) execute function chaos_alter()`,
  'own AFTER trigger': `
    create function chaos_alter() returns trigger language plpgsql as $$
    begin
      update cache_entries set value = ${alterInSql}, content_type = content_type
      where key = new.key and value <> ${alterInSql};
      return null;
    end $$;
    create trigger chaos after insert or update on cache_entries
      for each row when (${concerned}) execute function chaos_alter()`,
}

/** A trigger of the user's own that stores something else than was sent. */
export async function ownTrigger(
  { fleet, recorder }: TableFaultParts,
  { kind, durationMs }: PlannedFault,
  pause: Pause,
): Promise<undefined> {
  const spell = new Spell(performance.now())
  recorder.alters(spell)
  await inForce(fleet, spell, {
    make: triggers[kind] ?? '',
    remove: 'drop trigger chaos on cache_entries; drop function chaos_alter()',
    during: () => pause(durationMs),
  })
}

/** A rule of the user's own that notes what is deleted. */
export async function ownRule(
  { fleet }: TableFaultParts,
  { durationMs }: Timing,
  pause: Pause,
): Promise<undefined> {
  await inForce(fleet, new Spell(performance.now()), {
    make: `
      create table chaos_deleted (key text);
      create rule chaos as on delete to cache_entries do also insert into chaos_deleted values (old.key)`,
    remove: 'drop rule chaos on cache_entries; drop table chaos_deleted',
    during: () => pause(durationMs),
  })
}

/** Values change under the versions that they had, again and again. */
export async function changeSilently(
  { workload }: TableFaultParts,
  { durationMs, choice }: Timing,
  pause: Pause,
): Promise<undefined> {
  const untilMs = performance.now() + durationMs
  do {
    await workload.changeSilently(choice < 0.5 ? 'triggers off' : 'rewrite')
    await pause(1_500)
  } while (performance.now() < untilMs)
}

/** DDL that is in force for a while. */
interface Change {
  readonly make: string
  readonly remove: string
  readonly during: () => Promise<void>
}

export async function inForce(fleet: Fleet, spell: Spell, { make, remove, during }: Change): Promise<void> {
  await define(fleet, make)
  spell.inForce(performance.now())
  await during()
  spell.ending(performance.now())
  await define(fleet, remove)
  spell.gone(performance.now())
}

const attempts = 100
const retryMs = 200

/** Runs DDL in one transaction, repeatedly until the server is available and no lock is held for long. */
async function define(fleet: Fleet, sql: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fleet.asOwner(async (client) => {
        await client.query('begin')
        await client.query("set local lock_timeout = '1s'")
        await client.query(sql)
        await client.query('commit')
      })
    } catch (error) {
      const isDone =
        error instanceof pg.DatabaseError && ['42710', '42723', '42704', '42883'].includes(error.code ?? '')
      // The connection was lost at the commit, which had happened.
      if (isDone && attempt > 1) return
      if (attempt === attempts) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }
}
