import t from 'tap'
import { ChangedReads } from '../../../../src/core/changes/changed-reads.js'
import type { KeyWaits } from '../../../../src/core/changes/key-waits.js'
import { FillContests } from '../../../../src/core/leases/fill-contests.js'
import type { ReadResult } from '../../../../src/core/reads/read-result.js'
import { DrivenClock } from '../../../support/driven-clock.js'

/** Reads of a client that knows version 1. `answers` are those of the cache, one for each read. */
function changedReads(...answers: readonly (Partial<ReadResult> | Error)[]) {
  const clock = new DrivenClock()
  const contests = new FillContests()
  const left = [...answers]
  const waited: { readonly seen: number; readonly ms: number }[] = []
  const model = {
    contests,
    waited,
    duringRead: (): void => undefined,
    /** The wait ends after this time. */
    endsAfterMs: 100,
    left,
    reads: new ChangedReads({
      cache: {
        get: async () => {
          model.duringRead()
          const answer = left.shift()
          if (answer === undefined || answer instanceof Error) throw answer
          return { value: '1', ageMs: 0, ...answer }
        },
      },
      contests,
      waits: {
        leftMs: (deadlineMs: number) => Math.max(0, deadlineMs - clock.now()),
        wait: async (_: unknown, seen: number, ms: number) => {
          waited.push({ seen, ms })
          clock.advance(model.endsAfterMs)
        },
      } as unknown as KeyWaits,
      clock,
    }),
    get: (waitMs: number) =>
      model.reads.get(
        'k',
        {},
        { isKnown: ({ value }) => value === '1', waitMs, signal: new AbortController().signal },
      ),
  }
  return model
}

t.test('an answer that the client does not have is returned at once', async (t) => {
  const { get, waited } = changedReads({ value: '2' })
  t.match(await get(1_000), { value: '2' })
  t.strictSame(waited, [])
})

t.test('an answer that the client has is returned when the time is up', async (t) => {
  const { get, waited, left } = changedReads({}, {}, {}, { value: '2' })
  t.match(await get(200), { value: '1' })
  t.match(
    waited.map(({ ms }) => ms),
    [200, 100],
  )
  t.equal(left.length, 1)
})

t.test('a change that arrives during a read ends the wait after it', async (t) => {
  const model = changedReads({}, { value: '2' })
  let changes = 0
  model.duringRead = () => {
    changes = model.contests.enter('k').changes
    model.contests.leave('k')
    model.contests.changed('k')
  }
  t.match(await model.get(1_000), { value: '2' })
  t.match(model.waited, [{ seen: 0 }])
  t.equal(changes, 1, 'the second read came after the first change')
})

t.test('an entry is read again right after it has expired, because nobody announces that', async (t) => {
  const { get, waited } = changedReads({ expiresInMs: 250 }, { expiresInMs: -5 }, { value: undefined })
  t.match(await get(1_000), { value: undefined })
  t.match(waited, [{ ms: 251 }, { ms: 1 }])
})

t.test('nobody is left waiting for a key, whether a read succeeds or fails', async (t) => {
  const failed = changedReads({}, new Error('no store'))
  await t.rejects(failed.get(1_000), /no store/)
  const found = changedReads({ value: '2' })
  await found.get(1_000)
  for (const { contests } of [failed, found]) {
    const contest = contests.enter('k')
    t.equal(contest.callers, 1)
  }
})
