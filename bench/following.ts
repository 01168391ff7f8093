import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Bench } from './bench.js'
import { ask, nextMessage } from './child.js'
import { Lifetime } from './lifetime.js'
import { load, runClient } from './load/load.js'
import { cpuSecondsOf } from './process-usage.js'
import { startProgram } from './program.js'
import type { BenchSidecar } from './sidecar.js'

export interface FollowingOptions {
  /** Sidecar that is followed, and holds the entry of `hitPath`. */
  readonly followed: BenchSidecar
  readonly hitPath: string
  /** Port of the sidecar that takes the writes. */
  readonly writerPort: number
  readonly followers: number
  /** Keys per second, each new and due at its time. */
  readonly rate: number
  readonly seconds: number
}

export interface Following {
  /** Writes per second. */
  readonly rate: number
  /** Changes times followers, as far as they arrived. */
  readonly deliveries: number
  /** Share of all changes, for all followers, that arrived. */
  readonly delivered: number
  /** CPU time of the followed sidecar per change, in µs, while nobody reads. */
  readonly cpuPerChangeUs: number
  /** Hits per second while the changes go on. */
  readonly hits: number
}

const deliveredWithinMs = 20_000
const program = fileURLToPath(new URL('inside/followers.mjs', import.meta.url))
let runs = 0

/**
 * Measures followers of one sidecar, while another one takes writes: for half of the time nobody reads, and then as much
 * as 32 connections can. Each run has new followers and new keys.
 */
export async function measureFollowing(bench: Bench, options: FollowingOptions): Promise<Following> {
  const { followed, hitPath, writerPort, followers, rate } = options
  const seconds = options.seconds / 2
  const round = new Lifetime()
  bench.teardown(() => round.end())
  const prefix = `following ${++runs}`
  const { child } = startProgram(round, [process.execPath, program], {
    on: 'load',
    ipc: true,
    environment: { URL: followed.url, COUNT: String(followers), PREFIX: prefix },
  })
  child.stderr?.on('data', (text) => process.stderr.write(text))
  await nextMessage(child)
  let changes = 0
  const change = async (part: string) => {
    const work = { kind: 'set-new', prefix: `${prefix} ${part}`, valueBytes: 100 } as const
    const result = await runClient({ ports: [writerPort], connections: 16, seconds, work, rate })
    changes += result.answered
    return result
  }
  /** Resolves to the number of deliveries, when that is complete or takes too long. */
  const delivered = async () => {
    const deadlineMs = performance.now() + deliveredWithinMs
    for (;;) {
      const deliveries = await ask<number>(child, 'count')
      if (deliveries >= changes * followers || performance.now() > deadlineMs) return deliveries
      await sleep(50)
    }
  }
  const before = cpuSecondsOf(followed.pids)
  const quiet = await change('quiet')
  await delivered()
  const cpuPerChangeUs = (1e6 * (cpuSecondsOf(followed.pids) - before)) / changes
  const [{ rate: hits }] = await Promise.all([
    load({ port: followed.port, connections: 32, seconds, work: { kind: 'hit', path: hitPath } }),
    change('read'),
  ])
  const deliveries = await delivered()
  await round.end()
  const wanted = changes * followers
  return {
    rate: quiet.requests / quiet.seconds,
    deliveries,
    delivered: wanted === 0 ? 1 : deliveries / wanted,
    cpuPerChangeUs,
    hits,
  }
}
