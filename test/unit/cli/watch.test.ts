import t from 'tap'
import { watch } from '../../../src/cli/commands/watch.js'
import { commandRun, type FakeAnswer, fakeListener } from '../../support/command-run.js'

const counted = {
  ...{ hits: 10, misses: 10, changes_applied: 10, size: 2 },
  ...{ feed: { state: 'live', lease_age_ms: 7 }, writes: { pending: 0 } },
}

/** Watches a sidecar that gives these answers. Returns the first line, and stops. */
async function firstLine(t: Parameters<typeof fakeListener>[0], ...answers: readonly FakeAnswer[]) {
  const left = [...answers]
  const { url } = await fakeListener(t, () => (left.length > 1 ? left.shift() : left[0]) as FakeAnswer)
  const stop = new AbortController()
  const lines: string[] = []
  const said = (line: string) => {
    lines.push(line)
    stop.abort()
  }
  await commandRun(watch, { values: { url, seconds: '0.1' }, stop: stop.signal, out: said, note: said })
  return lines[0] ?? ''
}

t.test('rates are those of a second', async (t) => {
  const millions = { ...counted, hits: 3_000_010, misses: 1_000_010, changes_applied: 2_000_010 }
  const startMs = performance.now()
  const line = await firstLine(t, counted, millions)
  const mostSeconds = (performance.now() - startMs) / 1_000
  const [, reads, changes] = /^reads (\d+)\/s {2}hits 75\.0 % {2}changes (\d+)\/s/.exec(line) ?? []
  // The two answers are a tenth of a second apart, or more.
  t.ok(Number(reads) >= 4_000_000 / mostSeconds && Number(reads) <= 40_000_000, line)
  t.ok(Math.abs(Number(reads) - 2 * Number(changes)) <= 2, line)
})

t.test('any counter that is lower than before tells of a restart', async (t) => {
  for (const name of ['hits', 'misses', 'changes_applied'])
    t.equal(await firstLine(t, counted, { ...counted, [name]: 9 }), 'the sidecar has been restarted', name)
  t.match(await firstLine(t, counted), /^reads 0\/s/)
})

t.test('a URL of the wrong listener ends the watch of all sidecars', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const { url: right, asked } = await fakeListener(t, () => counted)
  const { url: wrong } = await fakeListener(t, async ({ path }) => {
    while (asked.length === 0) await new Promise(setImmediate)
    return path === '/livez' ? { status: 'alive' } : { status: 404, text: '{"detail":"Not Found"}' }
  })
  const before = timers()
  const running = commandRun(watch, {
    values: { seconds: '3600' },
    lists: new Map([['url', [right, wrong]]]),
  })
  await t.rejects(running, { name: 'UsageError', message: /is the operations listener of a sidecar/ })
  await new Promise(setImmediate)
  t.ok(timers() <= before, 'the other one does not wait for its next line')
})
