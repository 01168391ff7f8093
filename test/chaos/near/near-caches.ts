import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { createClient } from '../../../clients/node/src/index.js'
import { Random } from '../../support/random.js'
import { recoveryLimitMs } from '../faults/recovery.js'
import type { Fleet, Member } from '../fleet/fleet.js'
import { type ConnectionKind, Front, type Lead } from './front.js'
import { NearClient } from './near-client.js'

export interface NearCachesOptions {
  readonly fleet: Pick<Fleet, 'members'>
  readonly seed: number
  /** The built client; undefined for the one of the sources. */
  readonly program: string | undefined
}

/** Holds all keys of a run, and all rows: what is wrong stays wrong. */
const near = { maxEntries: 1_000, maxBytes: 10_000_000 }
type Range = readonly [least: number, most: number]

/**
 * Lifetimes in ms of connections to one sidecar and of all streams, and of other connections through a balancer. What a
 * client holds ends with a stream to another sidecar, so a stream must live for longer than L to show what is wrong.
 */
const steadyMs: Range = [6_000, 30_000]
const balancedMs: Range = [500, 8_000]
/**
 * Delays in ms of a slow link. A stream that is later than a response brings changes of what is held already, and one
 * that is later than L brings proofs that are worth nothing. A response that is later than the stream must not be put.
 */
const delaysMs: Readonly<Record<ConnectionKind, readonly Range[]>> = {
  stream: [
    [0, 400],
    [2_000, 6_000],
    [2_000, 6_000],
  ],
  requests: [
    [0, 0],
    [20, 400],
    [500, 2_500],
  ],
}

const balancedDelaysMs: readonly Range[] = [
  [0, 0],
  [20, 400],
]

/**
 * Clients with near caches: one for each sidecar, one over a slow link to a sidecar, and two behind balancers. A
 * balancer leads each connection to any sidecar that runs, frozen ones included, and ends those of requests soon. So a
 * stream, the question on it and each request come to different sidecars, and change over.
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
    const add = async (name: string, leadOf: (kind: ConnectionKind) => Lead) => {
      const calmed = () => calm.isCalm && { delayMs: 0, lifetimeMs: undefined }
      const front = new Front((kind) => ({ ...leadOf(kind), ...calmed() }))
      clients.push(new NearClient(name, front, create({ url: await front.listen(), near })))
    }
    const delay = (ranges: readonly Range[]) => random.between(...random.pick(ranges))
    const steady = ({ sidecar: { port } }: Member) => ({ port, lifetimeMs: random.between(...steadyMs) })
    for (const member of members)
      await add(`near cache of ${member.sidecar.name}`, () => ({ ...steady(member), delayMs: 0 }))
    const distant = random.pick(members)
    await add(`distant near cache of ${distant.sidecar.name}`, (kind) => ({
      ...steady(distant),
      delayMs: delay(delaysMs[kind]),
    }))
    for (const balancer of [0, 1])
      await add(`near cache behind balancer-${balancer}`, (kind) => ({
        port: anyPort(members, random),
        delayMs: delay(balancedDelaysMs),
        lifetimeMs: random.between(...(kind === 'stream' ? steadyMs : balancedMs)),
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
