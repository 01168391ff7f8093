import type { Comparison } from '../comparison.js'
import { load } from '../load/load.js'
import { openPages } from '../open-pages.js'
import { cpuSecondsOf } from '../process-usage.js'
import { startSidecar } from '../sidecar.js'

const pages = 50
const path = '/cache/get?key=foo'
const value = 'x'.repeat(100)

const row = { work: `GET hit with ${pages} pages open`, of: `${pages} pages`, against: 'no page' } as const

/** The same sidecar with and without open pages, in turn. */
export const openedPages: Comparison = {
  name: 'pages',
  about: 'hits while browsers show the page of the sidecar',
  onlyWhenNamed: true,
  rows: [
    { ...row, figure: 'rate', unit: 'requests/s', target: { atLeast: 0.98 } },
    // A busy machine disturbs this one less: only the sidecar's own time counts, that of the pages included.
    { ...row, figure: 'perCpuSecond', unit: 'requests per second of CPU' },
    { ...row, figure: 'p99Ms', unit: 'ms' },
  ],
  async open(bench) {
    const { url } = await bench.postgres.database()
    const sidecar = await startSidecar(bench, { databaseUrl: url })
    await sidecar.client.set('foo', value)
    const measured = async (seconds: number) => {
      const before = cpuSecondsOf(sidecar.pids)
      const { requests, rate, p99Ms } = await load({
        port: sidecar.port,
        connections: 32,
        seconds,
        work: { kind: 'hit', path },
      })
      return { rate, p99Ms, perCpuSecond: requests / (cpuSecondsOf(sidecar.pids) - before) }
    }
    return [
      { name: 'no page', measure: ({ seconds }) => measured(seconds) },
      {
        name: `${pages} pages`,
        measure: async ({ seconds }) => {
          const close = await openPages(sidecar.ops.base, pages)
          return measured(seconds).finally(close)
        },
      },
    ]
  },
}
