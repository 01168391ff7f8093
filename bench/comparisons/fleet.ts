import type { ChildProcess } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Bench } from '../bench.js'
import { ask, nextMessage } from '../child.js'
import type { Comparison, Contender } from '../comparison.js'
import { Lifetime } from '../lifetime.js'
import { runClient } from '../load/load.js'
import type { BenchDatabase } from '../postgres.js'
import { startProgram } from '../program.js'
import { startSidecar } from '../sidecar.js'
import { quantile } from '../statistics.js'

const listeners = 50
const perProcess = 10
const changesPerSecond = 1_000
const deliveredWithinMs = 20_000

const row = { of: 'sidecar feeds' } as const

/**
 * Two more sidecars take the writes, each of a new key. Counted from the moment a write was due to the moment at
 * which a listener has applied (heard of) its change: what it is to write here and read elsewhere.
 */
export const fleet: Comparison = {
  name: 'fleet',
  about: `${listeners} sidecars that follow ${changesPerSecond} changed keys per second`,
  rows: [
    {
      ...row,
      work: `${listeners} feeds, ${changesPerSecond} changes/s: p99`,
      figure: 'p99Ms',
      unit: 'ms',
      against: 'bare clients',
      target: { atMost: 1.5 },
    },
    { ...row, work: `${listeners} feeds: p50`, figure: 'p50Ms', unit: 'ms', against: 'bare clients' },
    {
      ...row,
      work: `${listeners} feeds: share delivered`,
      figure: 'delivered',
      unit: 'of 1',
      target: { atLeast: 1 },
    },
    {
      ...row,
      work: `${listeners} feeds: changes (${changesPerSecond} asked for)`,
      figure: 'rate',
      unit: 'keys/s',
      target: { atLeast: 0.99 * changesPerSecond },
    },
  ],
  async open(bench) {
    const database = await bench.postgres.database()
    const writers = [
      await startSidecar(bench, { databaseUrl: database.url, on: 'load' }),
      await startSidecar(bench, { databaseUrl: database.url, on: 'load' }),
    ]
    const ports = writers.map(({ port }) => port)
    return [
      contender(bench, 'sidecar feeds', '../inside/fleet.mjs', database, ports),
      contender(bench, 'bare clients', '../peers/listeners.mjs', database, ports),
    ]
  },
}

let runs = 0

function contender(
  bench: Bench,
  name: string,
  program: string,
  { url, channel }: BenchDatabase,
  ports: readonly number[],
): Contender {
  const path = fileURLToPath(new URL(program, import.meta.url))
  return {
    name,
    measure: async ({ seconds }) => {
      const round = new Lifetime()
      bench.teardown(() => round.end())
      const hosts: ChildProcess[] = []
      for (let count = 0; count < listeners; count += perProcess) {
        const { child } = startProgram(round, [process.execPath, path], {
          on: 'server',
          ipc: true,
          environment: { DATABASE_URL: url, CHANNEL: channel, COUNT: String(perProcess) },
        })
        child.stdout?.resume()
        child.stderr?.pipe(process.stderr)
        await nextMessage(child)
        hosts.push(child)
      }
      const prefix = `run ${++runs}`
      const {
        answered,
        startMs,
        seconds: tookSeconds,
        requests,
      } = await runClient({
        ports,
        connections: 16,
        seconds,
        work: { kind: 'set-new', prefix, valueBytes: 100 },
        rate: changesPerSecond,
      })
      const wanted = answered * listeners
      const deadlineMs = performance.now() + deliveredWithinMs
      for (;;) {
        const counts = await Promise.all(hosts.map((host) => ask<number>(host, 'count')))
        if (counts.reduce((sum, count) => sum + count, 0) >= wanted || performance.now() > deadlineMs) break
        await sleep(50)
      }
      const heard = (await Promise.all(hosts.map((host) => ask<[string, number][][]>(host, 'take')))).flat()
      await round.end()
      const latencies: number[] = []
      let delivered = 0
      for (const one of heard) {
        // Each key once, whoever heard of it how often.
        const times = new Map(one)
        for (const [key, heardMs] of times) {
          if (!key.startsWith(`${prefix}:`)) continue
          delivered++
          latencies.push(
            heardMs - (startMs + ((Number(key.slice(prefix.length + 1)) - 1) * 1_000) / changesPerSecond),
          )
        }
      }
      latencies.sort((one, other) => one - other)
      return {
        rate: requests / tookSeconds,
        delivered: delivered / wanted,
        p50Ms: quantile(latencies, 0.5),
        p99Ms: quantile(latencies, 0.99),
        maxMs: quantile(latencies, 1),
      }
    },
  }
}
