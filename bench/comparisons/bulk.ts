import type { Comparison, Contender } from '../comparison.js'
import { load } from '../load/load.js'
import type { Work } from '../load/work.js'
import { type Peer, webdis } from '../peers/peer.js'
import { cpuSecondsOf } from '../process-usage.js'
import { startSidecar } from '../sidecar.js'

const keys = 100
const value = 'x'.repeat(100)
const names = Array.from({ length: keys }, (_, index) => `key:${index + 1}`)

const row = {
  work: `${keys} keys held, 32 connections`,
  figure: 'keysPerSecond',
  unit: 'keys/s',
  of: 'one request',
} as const
const perCpu = { ...row, work: `${keys} keys held, per second of CPU`, figure: 'keysPerCpuSecond' } as const

/** The values of 100 keys from memory, in one request and in 100. */
export const bulk: Comparison = {
  name: 'bulk',
  about: `${keys} values from memory in one request`,
  rows: [
    { ...row, against: `${keys} requests`, target: { atLeast: 2 } },
    { ...row, against: 'MGET, Webdis + Redis' },
    { ...perCpu, against: `${keys} requests` },
    { ...perCpu, against: 'MGET, Webdis + Redis' },
  ],
  async open(bench) {
    const { url } = await bench.postgres.database()
    const sidecar = await startSidecar(bench, { databaseUrl: url })
    for (const name of names) await sidecar.client.set(name, value)
    return [
      contender('one request', sidecar, { kind: 'bulk', keys }, keys),
      contender(`${keys} requests`, sidecar, { kind: 'random', keys }, 1),
      contender('MGET, Webdis + Redis', await webdis(bench, value, names), mget(), keys),
    ]
  },
}

function mget(): Work & { readonly kind: 'hit' } {
  return { kind: 'hit', path: `/MGET/${names.join('/')}` }
}

function contender(
  name: string,
  peer: Peer | string,
  work: Extract<Work, { kind: 'bulk' | 'random' | 'hit' }>,
  keysPerRequest: number,
): Contender | { readonly name: string; readonly missing: string } {
  if (typeof peer === 'string') return { name, missing: peer }
  return {
    name,
    measure: async ({ seconds }) => {
      const before = cpuSecondsOf(peer.pids)
      const { requests, rate, p99Ms } = await load({ port: peer.port, connections: 32, seconds, work })
      const keysPerCpuSecond = (requests * keysPerRequest) / (cpuSecondsOf(peer.pids) - before)
      return { keysPerSecond: rate * keysPerRequest, keysPerCpuSecond, p99Ms }
    },
  }
}
