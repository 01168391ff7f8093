import type { Comparison, Contender } from '../comparison.js'
import { runClient, startClient } from '../load/load.js'
import { type BenchSidecar, startSidecar } from '../sidecar.js'

/** The largest that a set takes by default is a body of 1 MiB; the key and the braces are in it. */
const bigBytes = 2 ** 20 - 100
const bigKeys = 10
const bigReadsPerSecond = 50
const bigWritesPerSecond = 5
const hitsPerSecond = 2_000

const row = { unit: 'ms', of: 'with 1 MiB values', against: 'without' } as const

/** Small hits at a constant rate, alone and during reads and writes of 1 MiB values. */
export const big: Comparison = {
  name: 'big',
  about: `small hits beside ${bigReadsPerSecond} reads and ${bigWritesPerSecond} writes of 1 MiB per second`,
  rows: [
    { ...row, work: 'small hit p50', figure: 'p50Ms' },
    { ...row, work: 'small hit p99', figure: 'p99Ms' },
    { ...row, work: 'event-loop delay p99', figure: 'delayMs' },
    { work: '1 MiB hit p50', unit: 'ms', figure: 'bigP50Ms', of: 'with 1 MiB values' },
    { work: '1 MiB set p50', unit: 'ms', figure: 'bigSetP50Ms', of: 'with 1 MiB values' },
  ],
  async open(bench) {
    const { url } = await bench.postgres.database()
    const sidecar = await startSidecar(bench, { databaseUrl: url, inside: 'event-loop.mjs' })
    await sidecar.client.set('small', 'x'.repeat(100))
    await sidecar.client.set('big', 'x'.repeat(bigBytes))
    return [hitsBeside('without', sidecar, false), hitsBeside('with 1 MiB values', sidecar, true)]
  },
}

function hitsBeside(name: string, sidecar: BenchSidecar, isBig: boolean): Contender {
  const ports = [sidecar.port]
  return {
    name,
    measure: async ({ seconds }) => {
      const reads = { ports, connections: 4, seconds, rate: bigReadsPerSecond }
      const writes = { ports, connections: 2, seconds, rate: bigWritesPerSecond }
      const beside = isBig
        ? [
            startClient({ ...reads, work: { kind: 'hit', path: '/cache/get?key=big' } }),
            startClient({ ...writes, work: { kind: 'set', keys: bigKeys, valueBytes: bigBytes } }),
          ]
        : []
      await sidecar.ask('since now')
      const { p50Ms, p99Ms } = await runClient({
        ports,
        connections: 16,
        seconds,
        work: { kind: 'hit', path: '/cache/get?key=small' },
        rate: hitsPerSecond,
      })
      const delayMs = await sidecar.ask<number>('the delay')
      const [bigRead, bigSet] = await Promise.all(beside.map(({ result }) => result))
      return {
        p50Ms,
        p99Ms,
        delayMs,
        ...(bigRead && bigSet && { bigP50Ms: bigRead.p50Ms, bigSetP50Ms: bigSet.p50Ms }),
      }
    },
  }
}
