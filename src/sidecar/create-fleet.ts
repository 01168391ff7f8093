import { hostname, networkInterfaces } from 'node:os'
import type { Config } from '../config/config.js'
import { isLoopback } from '../config/host-intent.js'
import type { Cache } from '../core/cache.js'
import type { MemberState } from '../core/state/fleet-member.js'
import type { Readiness } from '../core/state/readiness.js'
import { FleetMembership, type FleetMembershipParts } from '../postgres/fleet/fleet-membership.js'

export interface FleetSources extends Omit<FleetMembershipParts, 'self' | 'status' | 'idleInMs' | 'isIdle'> {
  readonly version: string
  readonly config: Config
  readonly cache: Pick<Cache, 'status'>
  readonly readiness: () => Readiness
  /** Returns the port of the operations listener. */
  readonly opsPort: () => number
}

/** Creates the membership of this sidecar in the fleet. */
export function createFleet(sources: FleetSources): FleetMembership {
  const { config, cache, readiness } = sources
  return new FleetMembership(
    { intervalMs: config.fleetIntervalMs },
    {
      ...sources,
      self: ownState(sources),
      status: () => readiness().status,
      idleInMs: () => cache.status().idleInMs,
      isIdle: () => cache.status().feed === 'idle',
    },
  )
}

/** Largest number of the column. */
const maxLagMs = 2 ** 31 - 1

/** Returns a function that returns the state of this sidecar, with its rates since the last call. */
function ownState({ version, config, cache, readiness, opsPort, clock }: FleetSources): () => MemberState {
  const startedMs = clock.now()
  let before = { atMs: startedMs, hits: 0, reads: 0 }
  return () => {
    const { stats, leaseAgeMs, size } = cache.status()
    const { hits, missesAbsent, missesExpired, missesUnproven, missesRequested } = stats
    const reads = hits + missesAbsent + missesExpired + missesUnproven + missesRequested
    const now = { atMs: clock.now(), hits, reads }
    const newReads = reads - before.reads
    const state = {
      version,
      host: hostname(),
      address: addressOf(config.opsHost),
      pagePort: config.hasPage ? opsPort() : null,
      upMs: now.atMs - startedMs,
      status: readiness().status,
      lagMs: Number.isFinite(leaseAgeMs) ? Math.min(maxLagMs, Math.round(leaseAgeMs)) : null,
      hitRatio: newReads === 0 ? null : (hits - before.hits) / newReads,
      readsPerSecond: newReads / (Math.max(1, now.atMs - before.atMs) / 1_000),
      entries: size,
    }
    before = now
    return state
  }
}

/** Returns the address by which other machines reach a listener; null if it is only on loopback. */
function addressOf(host: string): string | null {
  if (isLoopback(host)) return null
  if (host !== '::' && host !== '0.0.0.0') return host
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const outside = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
  return (outside.find(({ family }) => family === 'IPv4') ?? outside[0])?.address ?? null
}
