import t, { type Test } from 'tap'
import { KeyPattern } from '../../../../src/core/bindings/key-pattern.js'
import { Drainer } from '../../../../src/postgres/outbox/drainer.js'
import { DrivenClock } from '../../../support/driven-clock.js'
import { recordingLog } from '../../../support/recording-log.js'
import { scriptedPostgres } from '../../../support/scripted-postgres.js'

const mapping = 'cache_map_0123456789ab_7'

/** A drainer whose drains are too slow for the reasons `late`, each time before one that succeeds. */
async function drainerOf(t: Test, hasMappings: boolean, late: readonly string[] = []) {
  const reasons = late.flatMap((where) => [where, undefined])
  const server = await scriptedPostgres(t, {
    answer: (statement) => {
      if (!statement.includes('with gone')) return []
      const where = reasons.shift()
      return where === undefined
        ? [{ snapshot: '1:1:', epoch: 'e', rows: '0' }]
        : { code: '57014', message: 'canceling statement', where }
    },
  })
  const { log, logged } = recordingLog()
  const counts = { statements: 0, rows: 0 }
  const drainer = new Drainer(
    { url: server.url, intervalMs: 60_000, limitMs: 600 },
    { clock: new DrivenClock(), log, counts, patternOf: () => new KeyPattern('item:{id}') },
  )
  t.teardown(() => drainer.close())
  drainer.drainFor({ schema: 'public', channel: 'changes', hasMappings })
  return { drainer, server, logged, counts }
}

const longMs = 600_000

t.test('a mapping that is too slow is logged once, with the binding whose keys it costs', async (t) => {
  const { drainer, logged, counts } = await drainerOf(t, true, [mapping, mapping, 'another statement'])
  for (const count of [1, 2, 3]) {
    await drainer.drain(longMs)
    t.ok(counts.statements >= count)
  }
  t.strictSame(logged, [
    {
      level: 'warn',
      fields: { mapping, pattern: 'item:{id}' },
      message: 'a query of a dependency is too slow: each change of its table drops all keys of the binding',
    },
  ])
  t.match(drainer.last, { epoch: 'e' })
})

t.test('only drains that run mappings have a limit', async (t) => {
  for (const [hasMappings, limitMs] of [
    [true, 600],
    [false, 0],
  ] as const) {
    const { drainer, server } = await drainerOf(t, hasMappings)
    await drainer.drain(longMs)
    t.strictSame(
      server.statements.filter((statement) => /set statement_timeout/.test(statement)),
      [`set statement_timeout = ${limitMs}`],
    )
  }
})
