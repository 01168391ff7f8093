import t from 'tap'
import { planFaults } from './schedule.js'

t.test('the same seed plans the same faults, another one others', async (t) => {
  t.same(planFaults(7, 120_000, 3), planFaults(7, 120_000, 3))
  t.notSame(planFaults(7, 120_000, 3), planFaults(8, 120_000, 3))
})

t.test('faults end within the run, at every sidecar, and all kinds come up in the long run', async (t) => {
  const runMs = 600_000
  const plan = planFaults(1, runMs, 4)
  t.ok(plan.every(({ atMs, durationMs }) => atMs > 0 && atMs + durationMs <= runMs))
  t.same([...new Set(plan.map(({ target }) => target))].sort(), [0, 1, 2, 3])
  t.equal(new Set(plan.map(({ kind }) => kind)).size, 29)
})
