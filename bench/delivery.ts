import { setTimeout as sleep } from 'node:timers/promises'
import type { Listeners } from './listeners.js'
import { runClient } from './load/load.js'
import { quantile } from './statistics.js'

export interface DeliveryOptions {
  readonly listeners: Listeners
  /** Ports of the sidecars that take the writes. */
  readonly ports: readonly number[]
  /** Keys per second, each new and due at its time. */
  readonly rate: number
  readonly seconds: number
  /** Time limit for the change of the last write. */
  readonly withinMs: number
}

/**
 * Counted from the moment a write was due to the moment at which a listener has applied (heard of) its change: what
 * it is to write here and read elsewhere.
 */
export interface Delivery {
  /** Writes per second. */
  readonly rate: number
  /** Changes times listeners, as far as they arrived. */
  readonly deliveries: number
  /** The share of all changes, for all listeners, that arrived. */
  readonly delivered: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

let runs = 0

export async function measureDelivery(options: DeliveryOptions): Promise<Delivery> {
  const { listeners, ports, rate, seconds, withinMs } = options
  await listeners.take()
  const prefix = `run ${++runs}`
  const load = await runClient({
    ports,
    connections: 16,
    seconds,
    work: { kind: 'set-new', prefix, valueBytes: 100 },
    rate,
  })
  const wanted = load.answered * listeners.count
  const deadlineMs = performance.now() + withinMs
  while ((await listeners.heard()) < wanted && performance.now() < deadlineMs) await sleep(50)

  const latencies: number[] = []
  for (const heard of await listeners.take()) {
    // Each key counts once, however often it was received.
    for (const [key, heardMs] of new Map(heard)) {
      if (!key.startsWith(`${prefix}:`)) continue
      const number = Number(key.slice(prefix.length + 1))
      latencies.push(heardMs - (load.startMs + ((number - 1) * 1_000) / rate))
    }
  }
  latencies.sort((one, other) => one - other)
  return {
    rate: load.requests / load.seconds,
    deliveries: latencies.length,
    delivered: latencies.length / wanted,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    maxMs: quantile(latencies, 1),
  }
}
