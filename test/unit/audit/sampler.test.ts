import t from 'tap'
import type { Change } from '../../../src/core/entry.js'
import { digestOf, type ReadOutcome } from '../../../src/tools/audit/answer.js'
import { type Checkpoint, checkpointsUpTo } from '../../../src/tools/audit/checkpoints.js'
import type { Row } from '../../../src/tools/audit/primary.js'
import type { Sample } from '../../../src/tools/audit/sample.js'
import { Sampler, type SamplerOptions } from '../../../src/tools/audit/sampler.js'
import { AuditTally } from '../../../src/tools/audit/tally.js'
import type { Verdict } from '../../../src/tools/audit/verdict.js'
import { violationsAmong } from '../../../src/tools/audit/violation.js'
import { Gate } from '../../support/gate.js'
import { DrivenTime, turn } from './driven-time.js'

const sidecar = 'http://a'
const maxStalenessMs = 3_000
const fresh = (value: unknown): ReadOutcome => ({ kind: 'value', digest: digestOf(JSON.stringify(value)) })
const change = (id: string, version: string): Change => ({ kind: 'key', id, version })

/** A fleet of one sidecar that answers what the test says; the primary likewise. */
function fleet(options: Partial<SamplerOptions> = {}) {
  const time = new DrivenTime()
  const startMs = time.now()
  const checkpoints = checkpointsUpTo(maxStalenessMs)
  const world = {
    answer: { kind: 'nothing' } as ReadOutcome,
    row: undefined as Row | undefined,
    random: 0,
    beforeRead: async () => {},
  }
  const asked: { readonly key: string; readonly atMs: number }[] = []
  const verdicts: { readonly ms: number; readonly kind: Verdict['kind'] }[] = []
  const violations: string[] = []
  const tally = new AuditTally([sidecar], checkpoints)
  const sampler = new Sampler(
    { rate: 1, maxUnderWay: 10, ...options },
    {
      clock: time,
      checkpoints,
      tally,
      random: () => world.random,
      ask: async (key) => {
        asked.push({ key, atMs: time.now() - startMs })
        return [{ sidecar, sentMs: time.now(), answer: world.answer }]
      },
      readPrimary: async () => {
        await world.beforeRead()
        return world.row
      },
      caughtUp: async () => {},
      onAnswers: (answers) => tally.answered(answers),
      onVerdict: (sample: Sample, checkpoint: Checkpoint, verdict) => {
        verdicts.push({ ms: checkpoint.ms, kind: verdict.kind })
        tally.judged(checkpoint, verdict)
        if (verdict.kind !== 'inconsistent') return
        for (const { version } of violationsAmong(verdict.suspects, sample, maxStalenessMs))
          violations.push(version)
      },
    },
  )
  return { time, world, sampler, tally, asked, verdicts, violations }
}

t.test('samples are taken 100 ms, 1 s and slightly more than L after the announcement', async (t) => {
  const { time, sampler, asked, tally } = fleet()
  sampler.changed(change('k', '7'))
  t.equal(sampler.underWay, 1)
  await time.advance(5_000)
  t.strictSame(asked, [
    { key: 'k', atMs: 100 },
    { key: 'k', atMs: 1_000 },
    { key: 'k', atMs: 3_013 },
  ])
  t.equal(sampler.underWay, 0)
  t.strictSame(
    tally.report(0).within.map(({ ms, writes, consistent }) => [ms, writes, consistent]),
    [
      [100, 1, 1],
      [1_000, 1, 1],
      [3_000, 1, 1],
    ],
  )
})

t.test('planted: an entry that is never dropped is inconsistent, and after L a violation', async (t) => {
  const { time, world, sampler, verdicts, violations } = fleet()
  world.answer = fresh('old')
  world.row = { version: '7', digest: digestOf('"new"'), expired: false }
  sampler.changed(change('k', '7'))
  await time.advance(2_999)
  t.strictSame(verdicts, [
    { ms: 100, kind: 'inconsistent' },
    { ms: 1_000, kind: 'inconsistent' },
  ])
  t.strictSame(violations, [])
  await time.advance(100)
  t.strictSame(violations, ['7'])
})

t.test('planted: an entry dropped late, but within L', async (t) => {
  const { time, world, sampler, tally, violations } = fleet()
  world.answer = fresh('old')
  world.row = { version: '7', digest: digestOf('"new"'), expired: false }
  sampler.changed(change('k', '7'))
  await time.advance(500)
  world.answer = fresh('new')
  await time.advance(5_000)
  t.strictSame(
    tally.report(0).within.map(({ consistent }) => consistent),
    [0, 1, 1],
  )
  t.strictSame(violations, [])
})

t.test('innocent: a newer change ends the sample, even during the verdict', async (t) => {
  const { time, world, sampler, tally, verdicts, asked } = fleet()
  const gate = new Gate()
  world.answer = fresh('eight')
  world.row = { version: '7', digest: digestOf('"seven"'), expired: false }
  world.beforeRead = () => gate.pass()
  sampler.changed(change('k', '7'))
  await time.advance(100)
  await gate.reached
  world.random = 1
  sampler.changed(change('k', '8'))
  gate.open()
  await turn()
  t.strictSame(verdicts, [{ ms: 100, kind: 'undecided' }])
  await time.advance(5_000)
  t.equal(asked.length, 1)
  t.equal(tally.report(0).overtaken, 1)
  t.equal(tally.report(0).within[0]?.writes, 0)
})

t.test('innocent: a newer change begins a sample of its own', async (t) => {
  const { time, sampler, asked, tally } = fleet()
  sampler.changed(change('k', '7'))
  await time.advance(500)
  sampler.changed(change('k', '8'))
  await time.advance(5_000)
  t.strictSame(
    asked.map(({ atMs }) => atMs),
    [100, 600, 1_500, 3_513],
  )
  t.equal(tally.report(0).sampled, 2)
})

t.test('the same change heard twice is one', async (t) => {
  const { time, sampler, asked, tally } = fleet()
  sampler.changed(change('k', '7'))
  sampler.changed(change('k', '7'))
  await time.advance(5_000)
  t.equal(asked.length, 3)
  t.equal(tally.report(0).sampled, 1)
})

t.test('innocent: nothing is judged while changes may have been missed', async (t) => {
  for (const happens of [
    (sampler: Sampler) => sampler.changed({ kind: 'everything' }),
    (sampler: Sampler) => sampler.lost(),
  ]) {
    const { time, sampler, asked, tally } = fleet()
    sampler.changed(change('k', '7'))
    sampler.changed(change('l', '8'))
    happens(sampler)
    await time.advance(5_000)
    t.strictSame(asked, [])
    t.equal(tally.report(0).overtaken, 2)
    t.equal(sampler.underWay, 0)
  }
})

t.test('an audit that was frozen reports nothing about the moments that it missed', async (t) => {
  const { time, world, sampler, tally, violations } = fleet()
  sampler.changed(change('k', '7'))
  await time.freeze(10_000)
  t.strictSame(
    tally.report(0).within.map(({ writes }) => writes),
    [0, 0, 0],
  )
  world.answer = fresh('old')
  world.row = { version: '8', digest: digestOf('"new"'), expired: false }
  sampler.changed(change('k', '8'))
  await time.freeze(10_000)
  t.ok(violations.includes('8'), 'but what is wrong then is wrong')
})

t.test('only a share of the changes is sampled, up to a limit, and only with a named key', async (t) => {
  const { world, sampler, tally } = fleet({ rate: 0.5, maxUnderWay: 2 })
  world.random = 0.5
  sampler.changed(change('no', '1'))
  t.equal(sampler.underWay, 0)
  world.random = 0.49
  sampler.changed(change(`\0${'ab'.repeat(32)}`, '2'))
  sampler.changed(change('', '3'))
  t.equal(sampler.underWay, 0)
  for (const id of ['a', 'b', 'c']) sampler.changed(change(id, '4'))
  t.equal(sampler.underWay, 2)
  const { changes, unnamed, sampled } = tally.report(0)
  t.strictSame({ changes, unnamed, sampled }, { changes: 6, unnamed: 2, sampled: 2 })
})

t.test('close sends no more requests and waits for pending verdicts', async (t) => {
  const { time, world, sampler, asked, violations } = fleet()
  const gate = new Gate()
  world.answer = fresh('old')
  world.row = { version: '7', digest: digestOf('"new"'), expired: false }
  sampler.changed(change('k', '7'))
  await time.advance(3_000)
  world.beforeRead = () => gate.pass()
  await time.advance(100)
  await gate.reached
  sampler.changed(change('l', '8'))
  const closed = sampler.close()
  sampler.changed(change('m', '9'))
  gate.open()
  await closed
  t.equal(sampler.underWay, 0, 'nothing begins after it')
  t.strictSame(violations, ['7'])
  t.strictSame(
    asked.map(({ key }) => key),
    ['k', 'k', 'k'],
  )
})

t.test('the last checkpoint is at the bound', async (t) => {
  const moments = (boundMs: number) => checkpointsUpTo(boundMs).map(({ ms }) => ms)
  t.strictSame(moments(3_000), [100, 1_000, 3_000])
  t.strictSame(moments(1_000), [100, 1_000])
  t.strictSame(moments(500), [100, 500])
  t.strictSame(moments(100), [100])
})
