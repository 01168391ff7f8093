import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault, FaultProxy } from '../../support/fault-proxy.js'
import type { BoundWorkload } from '../bound/bound-workload.js'
import { type Fleet, guest, type Member } from '../fleet/fleet.js'
import type { Observer } from '../fleet/observer.js'
import type { SqlClient } from '../fleet/sql-client.js'
import type { LostTail } from '../oracle/durability.js'
import type { Recorder } from '../oracle/recorder.js'
import type { Violations } from '../oracle/violations.js'
import type { Workload } from '../workload.js'
import { type Disturbance, drainsHeld, inDrain } from './drain-faults.js'
import type { Pause } from './fault-timing.js'
import { handOutAgain, putSnapshotBack, recreate } from './history-faults.js'
import { cutSettling, leakedSettings, translatedMessages } from './link-faults.js'
import type { RecoveryWatch } from './recovery.js'
import {
  catalogueLocked,
  fullDisk,
  type RefusalParts,
  readOnlyServer,
  rightsRevoked,
  rowRefused,
} from './refusal-faults.js'
import { type FaultKind, type PlannedFault, tracks } from './schedule.js'
import { endIdleSessions, failover, fullQueue, standbyBehind } from './server-faults.js'
import { splitServers } from './split-servers.js'
import { changeSilently, ownDefault, ownRule, ownTrigger } from './table-faults.js'

export interface FaultsParts {
  readonly fleet: Fleet
  readonly sql: SqlClient
  readonly observer: Observer
  readonly recorder: Recorder
  readonly recovery: RecoveryWatch
  readonly workload: Workload
  readonly bound: BoundWorkload
  readonly violations: Violations
  readonly maxStalenessMs: number
  /** Aborted when the run is to end early; faults are healed all the same. */
  readonly stop: AbortSignal
}

/** A temporary fault of the network between one sidecar and the database. */
const networkFaults: Partial<Record<FaultKind, (choice: number) => Fault>> = {
  refused: () => ({ admission: 'refuse' }),
  blackout: () => ({ toServer: { kind: 'drop' }, toClient: { kind: 'drop' }, admission: 'ignore' }),
  'never answered': () => ({ admission: 'ignore' }),
  slow: (choice) => {
    const flow = { kind: 'delay', ms: 20 + 1_000 * choice ** 2 } as const
    return { toServer: flow, toClient: flow }
  },
  'slow pool': (choice) => ({ scope: 'pool', toClient: { kind: 'delay', ms: 20 + 600 * choice } }),
  'answers vanish': () => ({ toClient: { kind: 'drop' } }),
  'requests vanish': () => ({ toServer: { kind: 'drop' } }),
  stall: () => ({ toServer: { kind: 'hold' }, toClient: { kind: 'hold' } }),
  cut: (choice) => {
    const flow = { kind: 'cut', bytes: 1 + Math.floor(1_500 * choice) } as const
    return choice < 0.5 ? { toClient: flow } : { toServer: flow }
  },
}

/** A lasting fault of the connections that are open now. New connections work. */
const lastingFaults: Partial<Record<FaultKind, Fault>> = {
  'half-open': { toServer: { kind: 'drop' }, toClient: { kind: 'drop' }, existingOnly: true },
  'half-open listener': {
    scope: 'listener',
    toServer: { kind: 'drop' },
    toClient: { kind: 'drop' },
    existingOnly: true,
  },
}

/** Faults that affect all sidecars. */
const faultsOfServer: ReadonlySet<FaultKind> = new Set([
  'server crash',
  'server restart',
  'failover',
  'idle sessions ended',
  'full queue',
  'listeners terminated',
  'all terminated',
  'snapshot put back',
  'database re-created',
  'schema re-created',
  'table re-created',
  'versions handed out again',
  'two live servers',
  'translated messages',
  'catalogue locked',
])

/** Statements are refused. */
const refusals: Partial<Record<FaultKind, (parts: RefusalParts) => Promise<void>>> = {
  'translated messages': translatedMessages,
  'read-only server': readOnlyServer,
  'full disk': fullDisk,
  'rights revoked': rightsRevoked,
  'row refused': rowRefused,
  'cut before a settling commit': cutSettling,
  'cut after a settling commit': cutSettling,
  'leaked settings': leakedSettings,
  'catalogue locked': catalogueLocked,
  'standby behind': ({ fleet, fault, pause }) => standbyBehind({ fleet }, fault, pause),
}

/** The data, or what is done with them, become others: of everybody. */
const faultsOfData: Partial<
  Record<FaultKind, (parts: FaultsParts, fault: PlannedFault, pause: Pause) => Promise<LostTail | undefined>>
> = {
  'snapshot put back': putSnapshotBack,
  'database re-created': recreate,
  'schema re-created': recreate,
  'table re-created': recreate,
  'versions handed out again': handOutAgain,
  'two live servers': splitServers,
  'silent changes': changeSilently,
  'own default': ownDefault,
  'own BEFORE trigger': ownTrigger,
  'own AFTER trigger': ownTrigger,
  'own rule': ownRule,
}

/** They stop the server, replace its data or need it as it is, so that each has it to itself. */
const exclusive: ReadonlySet<FaultKind> = new Set([
  ...tracks.replacements,
  ...tracks.refusals.filter((kind) => kind !== 'leaked settings'),
  'server crash',
  'server restart',
  'failover',
  'idle sessions ended',
  'full queue',
  'row locked',
  'drains held',
  'sidecar killed in a drain',
  'freeze in a drain',
])

/** Faults that affect all sidecars, none of which should lose its feed. */
const harmless: ReadonlySet<FaultKind> = new Set([
  'row locked',
  'bulk update',
  'truncate',
  'garbage',
  'drains held',
  'silent changes',
  'own default',
  'own BEFORE trigger',
  'own AFTER trigger',
  'own rule',
  'read-only server',
  'full disk',
  'standby behind',
])

/** Faults after which a sidecar is another process. */
const replacing: ReadonlySet<FaultKind> = new Set([
  'sidecar killed',
  'sidecar killed in a drain',
  'sidecar restarted',
])

/** Whose fault it can be: only a role that does not own the table can lose rights, and some sidecars keep no writes. */
const isPossible: Partial<Record<FaultKind, (member: Member) => boolean>> = {
  'rights revoked': ({ role }) => role === guest,
  'cut before a settling commit': ({ keepsWrites }) => keepsWrites,
  'cut after a settling commit': ({ keepsWrites }) => keepsWrites,
}

/** Carries the planned faults out, and heals what it did. */
export class Faults {
  readonly #parts: FaultsParts
  readonly #underWay = new Set<string>()
  readonly #counts = new Map<FaultKind, number>()
  readonly #lostTails: LostTail[] = []
  #truncatedByMs = Number.NEGATIVE_INFINITY
  #drainsBroken = 0
  #channel = ''
  #lastExclusive: Promise<unknown> = Promise.resolve()

  constructor(parts: FaultsParts) {
    this.#parts = parts
  }

  get counts(): ReadonlyMap<FaultKind, number> {
    return this.#counts
  }

  /** Moment by which the last TRUNCATE had certainly ended. */
  get truncatedByMs(): number {
    return this.#truncatedByMs
  }

  /** Number of drains in the middle of which a sidecar was killed or frozen. */
  get drainsBroken(): number {
    return this.#drainsBroken
  }

  get lostTails(): readonly LostTail[] {
    return this.#lostTails
  }

  get areUnderWay(): boolean {
    return this.#underWay.size > 0 || this.#parts.recovery.waiting > 0
  }

  /** Describes the faults in progress, for people. */
  describe(): string {
    return this.#underWay.size === 0 ? 'no fault under way' : `under way: ${[...this.#underWay].join(', ')}`
  }

  /** One after another, each at its time or as soon after it as the one before has ended; none after `endMs`. */
  async run(plan: readonly PlannedFault[], startMs: number, endMs: number): Promise<void> {
    for (const fault of plan) {
      await this.#pause(startMs + fault.atMs - performance.now())
      await this.#inTurn(fault, () =>
        this.#parts.stop.aborted || performance.now() > endMs ? Promise.resolve() : this.#inject(fault),
      )
    }
  }

  /** Two faults that need the server are not under way at once. */
  async #inTurn({ kind }: PlannedFault, inject: () => Promise<void>): Promise<void> {
    if (!exclusive.has(kind)) return inject()
    const turn = this.#lastExclusive.then(inject)
    this.#lastExclusive = turn.catch(() => undefined)
    await turn
  }

  async #inject(fault: PlannedFault): Promise<void> {
    const { kind, target } = fault
    const possible = this.#parts.fleet.members.filter(isPossible[kind] ?? (() => true))
    const member = possible[target % possible.length]
    if (member === undefined) return
    const isEverybodys = faultsOfServer.has(kind) || harmless.has(kind)
    const name = isEverybodys ? kind : `${kind} (${member.sidecar.name})`
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    this.#underWay.add(name)
    try {
      const concerned = isEverybodys ? this.#parts.fleet.members : [member]
      const isReplaced = replacing.has(kind)
      const ends = harmless.has(kind)
        ? []
        : await Promise.all(concerned.map((one) => this.#parts.recovery.begin(kind, one, isReplaced)))
      const healed = () => {
        for (const end of ends) end()
      }
      await this.#carryOut(fault, member, healed)
      healed()
    } finally {
      this.#underWay.delete(name)
    }
  }

  /** `healed` may be called before the last thing is done; else the end is the end. */
  async #carryOut(fault: PlannedFault, member: Member, healed: () => void): Promise<void> {
    const { kind, durationMs, choice } = fault
    const { fleet, workload, observer } = this.#parts
    const { sidecar, proxy } = member
    const pause = (ms: number) => this.#pause(ms)
    const network = networkFaults[kind]
    if (network) {
      proxy.set(network(choice))
      if (kind === 'never answered' || kind === 'refused') proxy.reset()
      await this.#pause(durationMs)
      return proxy.heal({ reset: choice < 0.5 })
    }
    const ofData = faultsOfData[kind]
    if (ofData) {
      const lost = await ofData(this.#parts, fault, pause)
      if (lost) this.#lostTails.push(lost)
      return
    }
    const refusal = refusals[kind]
    if (refusal) return refusal({ ...this.#parts, fault, member, healed, pause })
    const lasting = lastingFaults[kind]
    if (lasting) return proxy.set(lasting)
    switch (kind) {
      case 'reset':
        return proxy.reset(choice < 0.4 ? 'listener' : 'all')
      case 'late answers':
        await this.#lateAnswers(proxy, performance.now() + durationMs)
        return proxy.heal()
      case 'late news, then none':
        await this.#lateNews(proxy, durationMs)
        return proxy.heal()
      case 'freeze':
        sidecar.freeze()
        await this.#pause(durationMs)
        return sidecar.thaw()
      case 'freeze in a drain': {
        const disturb = async () => sidecar.freeze()
        const mend = async () => {
          await pause(durationMs)
          sidecar.thaw()
          healed()
        }
        return this.#inDrain(member, { disturb, mend })
      }
      case 'sidecar killed in a drain': {
        const { via } = sidecar
        const disturb = async () => {
          await sidecar.kill()
          observer.ended(via)
        }
        const mend = async () => {
          await pause(durationMs)
          healed()
          await sidecar.start()
        }
        return this.#inDrain(member, { disturb, mend })
      }
      case 'drains held':
        return this.#drainsHeld(fault)
      case 'sidecar killed':
      case 'sidecar restarted': {
        const { via } = sidecar
        await (kind === 'sidecar killed' ? sidecar.kill() : sidecar.stop())
        observer.ended(via)
        await this.#pause(durationMs)
        healed()
        return sidecar.start()
      }
      case 'server crash':
      case 'server restart':
        await fleet.postgres.stop(kind === 'server crash' ? 'immediate' : 'fast')
        await this.#pause(durationMs)
        return fleet.postgres.start()
      case 'failover':
        this.#lostTails.push(
          await failover(this.#parts, { lagMs: durationMs, standbyMs: 1_000 * choice }, pause),
        )
        return
      case 'idle sessions ended':
        return endIdleSessions(fleet, { idleMs: 300 + 2_000 * choice, durationMs }, pause)
      case 'full queue':
        return fullQueue(this.#parts, { durationMs, healed }, pause)
      case 'deaf listener':
        for (let tries = 0; !proxy.deafen() && tries < 200; tries++) await this.#pause(5)
        return this.#pause(durationMs)
      case 'listeners terminated':
      case 'all terminated':
        return this.#sql(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where application_name = 'caching-layer changes' or ($1 and application_name = 'caching-layer')`,
          [kind === 'all terminated'],
        )
      case 'row locked':
        return workload.lockRow(durationMs, this.#parts.stop)
      case 'bulk update':
        return workload.updateAll()
      case 'truncate':
        this.#truncatedByMs = Number.POSITIVE_INFINITY
        await workload.truncate()
        this.#truncatedByMs = performance.now() + 10_000
        return
      case 'garbage':
        return this.#garbage(choice)
      default:
        throw new Error(`nobody knows how to do "${kind}"`)
    }
  }

  async #inDrain(member: Member, disturbance: Disturbance): Promise<void> {
    const isBroken = await this.#parts.bound.withoutBroadChanges(() =>
      inDrain(this.#parts, member, disturbance, (ms) => this.#pause(ms)),
    )
    if (isBroken) this.#drainsBroken++
  }

  async #drainsHeld(fault: PlannedFault): Promise<void> {
    const hits = await this.#parts.bound.withoutBroadChanges(() =>
      drainsHeld(this.#parts, fault, (ms) => this.#pause(ms)),
    )
    // Other faults may be under way if it is not solitary.
    if (fault.atMs >= 0 || hits !== 0 || this.#parts.stop.aborted) return
    const text = `${this.#parts.recorder.clock()}: while drains did not end, no entry of another key was served from memory`
    this.#parts.violations.add({ promise: 'answers', text, around: [] })
  }

  /**
   * Everything is asked for at once, the answers wait while the feed is lost, everything changes, and the feed comes
   * back: of that change the fills have not heard. Shorter than the sidecar would wait for an answer.
   */
  async #lateAnswers(proxy: FaultProxy, untilMs: number): Promise<void> {
    while (performance.now() < untilMs && !this.#parts.stop.aborted) {
      const held = { scope: 'pool', toClient: { kind: 'hold' }, existingOnly: true } as const
      proxy.set(held)
      await this.#parts.workload.updateAll()
      // Reads pile up behind the statements under way, and are the next ones.
      await this.#pause(60)
      proxy.heal()
      proxy.set(held)
      await this.#pause(60)
      proxy.reset('listener')
      await this.#parts.workload.updateAll()
      await this.#pause(1_200)
      proxy.heal()
      // Longer than L: what was put wrongly stays wrong, and is seen to be.
      await this.#pause(4_000)
    }
  }

  /**
   * The feed is late, though not late enough to be given up, and then the database cannot be reached: what was on
   * its way never arrives, and the lease must not have been counted from when the earlier answers came in.
   */
  async #lateNews(proxy: FaultProxy, durationMs: number): Promise<void> {
    // A probe takes two round trips, and has L / 2.
    proxy.set({ scope: 'listener', toClient: { kind: 'delay', ms: this.#parts.maxStalenessMs / 5 } })
    await this.#pause(0.4 * durationMs)
    proxy.reset()
    proxy.set({ admission: 'refuse' })
    await this.#pause(0.6 * durationMs)
  }

  async #garbage(choice: number): Promise<void> {
    const payloads = [
      '',
      'garbage',
      '[]',
      '["k00"]',
      '["k00",7]',
      '{"k00":"7"}',
      '["k00","7"]',
      '["k00","-7","k01"]',
    ]
    if (this.#channel === '') {
      const [row] = await this.#parts.fleet
        .administer<{ channel: string }>(
          `select cache_channel(nspname, relname) as channel
           from pg_class join pg_namespace on pg_namespace.oid = relnamespace
           where pg_class.oid = 'cache_entries'::regclass`,
        )
        .catch(() => [])
      this.#channel = row?.channel ?? ''
    }
    const payload = payloads[Math.floor(choice * payloads.length)]
    if (this.#channel !== '') await this.#sql('select pg_notify($1, $2)', [this.#channel, payload])
  }

  /** Runs SQL and ignores a failure, because an unavailable server is one of the faults. */
  async #sql(text: string, values: unknown[]): Promise<void> {
    await this.#parts.fleet.administer(text, values).catch(() => undefined)
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await sleep(ms, undefined, { signal: this.#parts.stop }).catch(() => undefined)
  }
}
