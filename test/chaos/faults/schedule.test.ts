import { readFile } from 'node:fs/promises'
import t from 'tap'
import { faultsOf, planFaults, tracks } from './schedule.js'

t.test('a seed determines the faults', async (t) => {
  t.same(planFaults(7, 120_000, 3), planFaults(7, 120_000, 3))
  t.notSame(planFaults(7, 120_000, 3), planFaults(8, 120_000, 3))
})

t.test('faults end within the run, reach every sidecar, and all kinds occur', async (t) => {
  const runMs = 600_000
  const plan = planFaults(1, runMs, 4)
  t.ok(plan.every(({ atMs, durationMs }) => atMs + durationMs <= runMs))
  t.same(
    plan.filter(({ atMs, durationMs }) => atMs < 0 && atMs + durationMs < 0).map(({ kind }) => kind),
    tracks.solitary,
    'these are over when the others begin',
  )
  t.same([...new Set(plan.map(({ target }) => target))].sort(), [0, 1, 2, 3])
  t.equal(new Set(plan.map(({ kind }) => kind)).size, new Set(Object.values(tracks).flat()).size)
})

t.test('the run of npm test has every fault that replaces the data', async (t) => {
  const { scripts } = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'))
  const [, seed, minutes] = /--seed (\d+) --minutes (\d+)/.exec(scripts['test:chaos']) ?? []
  const plan = faultsOf('replacements', planFaults(Number(seed), Number(minutes) * 60_000, 3))
  t.same(new Set(plan.map(({ kind }) => kind)), new Set(tracks.replacements))
})

t.test('a schedule can be limited to some kinds', async (t) => {
  const plan = planFaults(1, 120_000, 3, ['freeze', 'truncate'])
  t.same([...new Set(plan.map(({ kind }) => kind))].sort(), ['freeze', 'truncate'])
})
