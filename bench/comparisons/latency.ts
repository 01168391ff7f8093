import type { Comparison, Contender } from '../comparison.js'
import { load, runClient } from '../load/load.js'
import { nodeHttp, type Peer, raw } from '../peers/peer.js'
import { startSidecar } from '../sidecar.js'

const connections = 32
const path = '/cache/get?key=foo'
const value = 'x'.repeat(100)
const body = `{"key":"foo","value":"${value}","source":"cache"}`
const work = { kind: 'hit', path } as const

/** An open loop: a request is due at its time, and its latency counts from then, whatever happened to earlier ones. */
export const latency: Comparison = {
  name: 'latency',
  about: 'how long a hit takes when the sidecar is at 80 % of what it can do',
  rows: [
    {
      work: 'GET hit p99 at 80 % of the maximum',
      figure: 'p99Ms',
      unit: 'ms',
      of: 'sidecar',
      against: 'node:http',
      target: { atMost: 1.2 },
    },
    {
      work: 'GET hit p50 at 80 % of the maximum',
      figure: 'p50Ms',
      unit: 'ms',
      of: 'sidecar',
      against: 'node:http',
    },
    {
      work: '80 % of the maximum',
      figure: 'rate',
      unit: 'requests/s',
      of: 'sidecar',
      against: 'the client at most',
      remark: 'near 1, the latencies are the client’s',
    },
    { work: 'p99 where nothing is computed', figure: 'p99Ms', unit: 'ms', of: 'raw TCP' },
  ],
  async open(bench) {
    const { url } = await bench.postgres.database()
    const sidecar = await startSidecar(bench, { databaseUrl: url })
    await sidecar.client.set('foo', value)
    const bare = await nodeHttp(bench, body)
    const none = await raw(bench, body)
    return [
      {
        name: 'maximum',
        measure: async ({ seconds }) => ({
          rate: (await load({ port: sidecar.port, connections, seconds, work })).rate,
        }),
      },
      {
        name: 'the client at most',
        measure: async ({ seconds }) => {
          const result = await runClient({ ports: [none.port], connections, seconds, work })
          return { rate: result.requests / result.seconds }
        },
      },
      openLoop('sidecar', sidecar),
      openLoop('node:http', bare),
      openLoop('raw TCP', none),
    ]
  },
}

function openLoop(name: string, { port }: Peer): Contender {
  return {
    name,
    measure: async ({ seconds, soFar }) => {
      const rate = 0.8 * (soFar.get('maximum')?.rate as number)
      const { p50Ms, p99Ms } = await runClient({ ports: [port], connections, seconds, work, rate })
      return { rate, p50Ms, p99Ms }
    },
  }
}
