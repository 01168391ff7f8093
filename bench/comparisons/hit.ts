import type { Comparison, Contender } from '../comparison.js'
import { generator, load } from '../load/load.js'
import { koaMap, nginx, nodeHttp, type Peer, raw, webdis } from '../peers/peer.js'
import { cpuSecondsOf } from '../process-usage.js'
import { startSidecar } from '../sidecar.js'

const work = 'GET hit, 32 connections'
const path = '/cache/get?key=foo'
const value = 'x'.repeat(100)
/** Body that the sidecar, bare node:http and nginx all send. */
const body = `{"key":"foo","value":"${value}","source":"cache"}`

const limit = `${generator} at most`

const row = { work, figure: 'rate', unit: 'requests/s', of: 'sidecar' } as const

/** Figure that a busy machine disturbs less: the server's own time alone. */
const perCpu = { ...row, work: 'GET hit, per second of CPU', figure: 'perCpuSecond' } as const

/** The original Python service was measured once: 4,000 requests/s where bare node:http did 47,000. */
const originalShare = 4_000 / 47_000

/** One key of 100 bytes, asked for again and again. */
export const hit: Comparison = {
  name: 'hit',
  about: 'a value from memory, as often as can be',
  rows: [
    { ...row, limit, against: 'node:http', target: { atLeast: 1 } },
    { ...row, limit, against: 'Webdis + Redis', target: { atLeast: 1.2 } },
    { ...row, limit, against: 'Koa + Map', target: { atLeast: 3 } },
    {
      ...row,
      limit,
      against: 'original',
      target: { atLeast: 11 },
      remark: 'computed: 4/47 of bare node:http, as was recorded',
    },
    { ...row, limit, against: 'node:http, same headers' },
    { ...row, limit, against: 'nginx' },
    ...['node:http', 'node:http, same headers', 'Webdis + Redis'].map((against) => ({ ...perCpu, against })),
    { ...row, against: limit, remark: 'no HTTP is read: the limit of the load' },
  ],
  async open(bench) {
    const { url } = await bench.postgres.database()
    const sidecar = await startSidecar(bench, { databaseUrl: url })
    await sidecar.client.set('foo', value)
    const { text, headers } = await sidecar.client.get('foo')
    if (text !== body) throw new Error(`the sidecar answered ${text}`)
    const same = { 'Cache-Status': headers['cache-status'] as string, Age: headers.age as string }
    return [
      contender('sidecar', sidecar, path),
      contender('node:http', await nodeHttp(bench, body), path),
      contender('Webdis + Redis', await webdis(bench, value), '/GET/foo'),
      contender('Koa + Map', await koaMap(bench, value), path),
      contender('node:http, same headers', await nodeHttp(bench, body, same), path),
      contender('nginx', await nginx(bench, body), path),
      contender(limit, await raw(bench, body), path),
      {
        name: 'original',
        measure: async ({ soFar }) => ({ rate: (soFar.get('node:http')?.rate as number) * originalShare }),
      },
    ]
  },
}

function contender(
  name: string,
  peer: Peer | string,
  path: string,
): Contender | { name: string; missing: string } {
  if (typeof peer === 'string') return { name, missing: peer }
  return {
    name,
    measure: async ({ seconds }) => {
      const before = cpuSecondsOf(peer.pids)
      const { requests, rate, p99Ms } = await load({
        port: peer.port,
        connections: 32,
        seconds,
        work: { kind: 'hit', path },
      })
      return { rate, p99Ms, perCpuSecond: requests / (cpuSecondsOf(peer.pids) - before) }
    },
  }
}
