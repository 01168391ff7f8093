import { fileURLToPath } from 'node:url'
import type { Comparison, Contender } from '../comparison.js'
import { fill } from '../fill.js'
import { load } from '../load/load.js'
import { memoryOf } from '../process-usage.js'
import { runProgram } from '../program.js'
import { startSidecar } from '../sidecar.js'

const many = 1_000_000
const few = 1_000

/** One sidecar that holds all of them; keys at random among few and among all. */
export const manyKeys: Comparison = {
  name: 'many',
  about: `${many.toLocaleString('en-US')} entries held`,
  rows: [
    {
      work: 'GET hit, one key of 1,000,000',
      figure: 'rate',
      unit: 'requests/s',
      of: 'sidecar',
      against: 'one of 1,000',
    },
    { work: 'memory per entry', figure: 'bytes', unit: 'bytes', of: 'sidecar core', against: 'lru-cache' },
    { work: 'memory per entry above lru-cache', figure: 'above', unit: 'bytes', of: 'sidecar core' },
    { work: 'resident memory with 1,000,000 entries', figure: 'rssMiB', unit: 'MiB', of: 'sidecar' },
  ],
  async open(bench) {
    const { url } = await bench.postgres.database({ rows: many })
    const sidecar = await startSidecar(bench, {
      databaseUrl: url,
      environment: { CACHE_CAPACITY: String(many) },
    })
    bench.note(`  filling ${many} entries`)
    await fill(sidecar, many)
    const randomly = (name: string, keys: number): Contender => ({
      name,
      measure: async ({ seconds }) => {
        const before = await sidecar.client.stats()
        const { rate, p99Ms } = await load({
          port: sidecar.port,
          connections: 32,
          seconds,
          work: { kind: 'random', keys },
        })
        const { misses } = await sidecar.client.stats()
        if (misses > before.misses) throw new Error(`${misses - before.misses} of the reads were misses`)
        return { rate, p99Ms, rssMiB: memoryOf(sidecar.pids[0]).nowMiB }
      },
    })
    // The same in every round: measured once.
    const [core, lru] = [await bytesHeldBy('sidecar'), await bytesHeldBy('lru-cache')]
    return [
      randomly('sidecar', many),
      randomly('one of 1,000', few),
      { name: 'lru-cache', measure: async () => ({ bytes: lru }) },
      { name: 'sidecar core', measure: async () => ({ bytes: core, above: core - lru }) },
    ]
  },
}

async function bytesHeldBy(holder: string): Promise<number> {
  const program = fileURLToPath(new URL('../inside/held-bytes.mjs', import.meta.url))
  const { stdout } = await runProgram(
    [process.execPath, '--expose-gc', '--max-old-space-size=4096', program],
    {
      on: 'server',
      environment: { HOLDER: holder, COUNT: String(many) },
      timeoutMs: 600_000,
    },
  )
  return Number(stdout)
}
