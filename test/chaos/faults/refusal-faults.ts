import pg from 'pg'
import type { BoundWorkload } from '../bound/bound-workload.js'
import type { Fleet, Member } from '../fleet/fleet.js'
import { guest } from '../fleet/fleet.js'
import type { Observer } from '../fleet/observer.js'
import type { Recorder } from '../oracle/recorder.js'
import { Spell } from '../oracle/spell.js'
import { hotKeys, type Workload } from '../workload.js'
import type { Pause } from './fault-timing.js'
import { type RecoveryWatch, recoveryLimitMs } from './recovery.js'
import type { PlannedFault } from './schedule.js'
import { untilWritable } from './server-faults.js'
import { inForce } from './table-faults.js'

export interface RefusalParts {
  readonly fleet: Fleet
  readonly observer: Observer
  readonly recorder: Recorder
  readonly recovery: RecoveryWatch
  readonly workload: Workload
  readonly bound: BoundWorkload
  readonly fault: PlannedFault
  /** Sidecar that the fault affects. */
  readonly member: Member
  /** Ends the measurement: call it when the sidecar has everything that it needs again. */
  readonly healed: () => void
  readonly pause: Pause
}

/** Makes the server read-only for a while, as before it is replaced. */
export async function readOnlyServer({ fleet, fault, pause, ...parts }: RefusalParts): Promise<void> {
  await fleet.administer('alter system set default_transaction_read_only = on')
  await fleet.administer('select pg_reload_conf()')
  await pause(fault.durationMs)
  await fleet.administer('alter system reset default_transaction_read_only')
  await fleet.administer('select pg_reload_conf()')
  await untilWritable(fault.kind, { fleet, ...parts })
}

/**
 * Simulates a full disk: a trigger raises the error that PostgreSQL raises then. A real one would need a small file
 * system, and so root. It would also need a tablespace, which other faults could not copy with the cluster.
 */
export async function fullDisk({ fleet, fault, pause, ...parts }: RefusalParts): Promise<void> {
  await inForce(fleet, new Spell(performance.now()), {
    make: `
      create function chaos_disk_full() returns trigger language plpgsql as $$
      begin
        raise 'could not extend file "base/1/1": No space left on device' using errcode = 'disk_full';
      end $$;
      create trigger chaos_disk_full before insert or update on cache_entries
        for each statement execute function chaos_disk_full()`,
    remove: 'drop trigger chaos_disk_full on cache_entries; drop function chaos_disk_full()',
    during: () => pause(fault.durationMs),
  })
  await untilWritable(fault.kind, { fleet, ...parts })
}

/**
 * Keeps sidecars from inspecting the bindings, of which one has changed without an announcement. The probe still shows
 * that there are other bindings, and must not renew the lease before they have been inspected.
 */
export async function catalogueLocked({ fleet, bound, fault, pause }: RefusalParts): Promise<void> {
  // Nothing else in a run reads policies.
  const locked = fleet
    .administer(`do $$ begin lock table pg_policy; perform pg_sleep(${fault.durationMs / 1_000}); end $$`)
    .catch(() => undefined)
  await pause(20)
  await bound.toggleSilently()
  await locked
}

/** Rights that the role loses. PostgreSQL asks for `select` in every statement of ours. */
const rights = ['insert, update', 'select', 'delete', 'select, insert, update, delete'] as const

/**
 * A role that does not own the table loses rights and gets them back, twice: during requests, and while writes are
 * pending.
 */
export async function rightsRevoked(parts: RefusalParts): Promise<void> {
  const { fleet, recorder, bound, fault, member, healed, pause } = parts
  const { choice, durationMs } = fault
  const lost = rights[Math.floor(choice * rights.length)]
  const without = async (during: () => Promise<void>) => {
    const spell = new Spell(performance.now())
    for (const one of [recorder, bound.recorder])
      one.denies('forbidden', spell, ({ via }) => isOf(member, via))
    await inForce(fleet, spell, {
      make: `revoke ${lost} on cache_entries from ${guest}`,
      remove: `grant select, insert, update, delete on cache_entries to ${guest}`,
      during,
    })
  }
  await without(() => pause(durationMs / 2))
  member.proxy.bar()
  try {
    await pause(durationMs / 2)
    await without(async () => {
      member.proxy.unbar()
      await pause(durationMs / 2)
    })
  } finally {
    member.proxy.unbar()
  }
  healed()
  await untilNothingKept(parts)
}

/**
 * One row never goes through. A request for it is told so, and its neighbours in the batch are not; a pending write of
 * it is given up while the row is still refused, and so does not hold the others up.
 */
export async function rowRefused(parts: RefusalParts): Promise<void> {
  const { fleet, recorder, recovery, workload, fault, member, healed, pause } = parts
  const { kind, choice, durationMs } = fault
  const key = hotKeys[Math.floor(choice * hotKeys.length)] as string
  const spell = new Spell(performance.now())
  recorder.denies('refused', spell, (request) => request.key === key)
  await inForce(fleet, spell, {
    make: `alter table cache_entries add constraint chaos_refused check (key <> ${pg.escapeLiteral(key)}) not valid`,
    remove: 'alter table cache_entries drop constraint chaos_refused',
    during: async () => {
      await recovery.untilBack(kind, member, () => isRefusedAlone(parts, key), {
        limitMs: recoveryLimitMs,
        isWithinFault: true,
      })
      member.proxy.bar()
      await Promise.all([workload.writeKey(kind, member, key), workload.writeOnce(kind, member)])
      await pause(durationMs)
      member.proxy.unbar()
      healed()
      await untilNothingKept(parts)
    },
  })
}

/** Checks that in one batch only the refused row fails. */
async function isRefusedAlone({ workload, member, fault }: RefusalParts, key: string): Promise<boolean> {
  const by = fault.kind
  const others = () => Promise.all(Array.from({ length: 4 }, () => workload.writeOnce(by, member)))
  const [before, guilty, after] = await Promise.all([others(), workload.writeKey(by, member, key), others()])
  return guilty.denial === 'refused' && [...before, ...after].every((kind) => kind === 'ok')
}

/** Pauses between two attempts to deliver grow, and other clients lock rows: there is no promise how long it takes. */
export async function untilNothingKept({ recovery, observer, fault, member }: RefusalParts): Promise<void> {
  const isBack = async () => (await observer.look(member))?.writes.pending === 0
  await recovery.untilBack(fault.kind, member, isBack, { limitMs: recoveryLimitMs })
}

function isOf({ sidecar }: Member, via: string): boolean {
  return via.startsWith(`${sidecar.name}.`)
}
