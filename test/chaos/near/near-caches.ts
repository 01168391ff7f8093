import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { createClient } from '../../../clients/node/src/index.js'
import { Random } from '../../support/random.js'
import { recoveryLimitMs } from '../faults/recovery.js'
import type { Fleet, Member } from '../fleet/fleet.js'
import { Front, type Lead } from './front.js'
import { NearClient } from './near-client.js'

export interface NearCachesOptions {
  readonly fleet: Pick<Fleet, 'members'>
  readonly seed: number
  /** The built client; undefined for the one of the sources. */
  readonly program: string | undefined
}

/** Holds all keys of a run, and all rows: what is wrong stays wrong. */
const near = { maxEntries: 1_000, maxBytes: 10_000_000 }
/** Lifetime in ms of a connection to one sidecar, and of one to a sidecar that a balancer has chosen. */
const steadyMs = [5_000, 30_000] as const
const balancedMs = [500, 8_000] as const
/**
 * Delays in ms behind a balancer: none, one by which a response comes after a later change, and one by which a proof
 * comes long after it was true.
 */
const delaysMs = [
  [0, 0],
  [0, 0],
  [20, 400],
  [1_000, 6_000],
] as const

/**
 * Clients with near caches: one for each sidecar, and two behind balancers. A balancer leads each connection to any
 * sidecar that runs, frozen ones included, and ends it soon. So a stream, the question on it and each request come to
 * different sidecars, and change over. The second balancer is slow in addition.
 */
export class NearCaches {
  readonly clients: readonly NearClient[]
  readonly #calm: { isCalm: boolean }

  private constructor(clients: readonly NearClient[], calm: { isCalm: boolean }) {
    this.clients = clients
    this.#calm = calm
  }

  /** Resolves when the clients are connecting. */
  static async create({ fleet: { members }, seed, program }: NearCachesOptions): Promise<NearCaches> {
    const random = new Random(seed ^ 0x1b873593)
    const calm = { isCalm: false }
    const create: typeof createClient =
      program === undefined ? createClient : (await import(pathToFileURL(program).href)).createClient
    const clients: NearClient[] = []
    const add = async (name: string, leadOf: () => Lead) => {
      const front = new Front(() => ({
        ...leadOf(),
        ...(calm.isCalm && { delayMs: 0, lifetimeMs: undefined }),
      }))
      clients.push(new NearClient(name, front, create({ url: await front.listen(), near })))
    }
    for (const { sidecar } of members)
      await add(`near cache of ${sidecar.name}`, () => ({
        port: sidecar.port,
        delayMs: 0,
        lifetimeMs: random.between(...steadyMs),
      }))
    for (const isSlow of [false, true])
      await add(`near cache behind a ${isSlow ? 'slow ' : ''}balancer`, () => ({
        port: anyPort(members, random),
        delayMs: isSlow ? random.between(...random.pick<readonly [number, number]>(delaysMs)) : 0,
        lifetimeMs: random.between(...balancedMs),
      }))
    return new NearCaches(clients, calm)
  }

  /**
   * Leads connections without disturbing them from now on. Resolves when all clients follow the changes, or to what is
   * missing if that takes too long.
   */
  async calmDown(): Promise<string | undefined> {
    this.#calm.isCalm = true
    for (const { front } of this.clients) front.cut()
    const deadlineMs = performance.now() + recoveryLimitMs
    for (;;) {
      const missing = this.clients.filter(
        ({ stats }) => stats.feed !== 'live' || stats.leaseAgeMs === undefined,
      )
      if (missing.length === 0) return undefined
      if (performance.now() > deadlineMs)
        return missing
          .map(({ name, stats }) => `the ${name} has no proof: ${JSON.stringify(stats)}`)
          .join('; ')
      await sleep(50)
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.close()))
  }
}

/** Returns the port of a sidecar that runs; undefined if none does. */
function anyPort(members: readonly Member[], random: Random): number | undefined {
  const ports = members.flatMap(({ sidecar }) => sidecar.port ?? [])
  return ports.length === 0 ? undefined : random.pick(ports)
}
