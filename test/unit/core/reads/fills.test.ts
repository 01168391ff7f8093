import t from 'tap'
import type { Absent, Withheld } from '../../../../src/core/entry.js'
import { liveSidecar, type ModelSidecar } from '../../../support/model-sidecar.js'

const elsewhere = '2-00000002'

/** Answers every read of the key with this, from now on. */
function answerWith({ store }: ModelSidecar, answer: Absent | Withheld): void {
  store.read = async (wanted) => new Map(wanted.map(({ key }) => [key, answer as Absent]))
}

t.test('a read that joins a strong read has its own reason to ask the store', async (t) => {
  const { store, cache } = await liveSidecar()
  store.setBySql('k', '1')
  const answer = store.hold('read', 'after')
  const strong = cache.get('k', { strong: true })
  await answer.reached
  const joined = cache.get('k')
  answer.open()
  t.match(await strong, { forwarded: 'request', collapsed: undefined })
  t.match(await joined, { value: '1', forwarded: 'miss', collapsed: true })
})

t.test('any answer from another history ends the session, whether or not it has a value', async (t) => {
  const absent: Absent = { version: undefined, epoch: elsewhere }
  const withheld: Withheld = {
    key: 'k',
    version: '7',
    epoch: elsewhere,
    value: undefined,
    withheld: 'too-large',
  }
  const reads: Readonly<Record<string, (sidecar: ModelSidecar) => Promise<unknown>>> = {
    'a read of a key without an entry': (sidecar) => {
      answerWith(sidecar, absent)
      return sidecar.cache.get('k')
    },
    'a warm-up of a key without an entry': (sidecar) => {
      answerWith(sidecar, absent)
      return sidecar.cache.warm('k')
    },
    'a read of a value that is too large': (sidecar) => {
      answerWith(sidecar, withheld)
      return t.rejects(sidecar.cache.get('k'), { code: 'too-large' })
    },
  }
  for (const [name, read] of Object.entries(reads)) {
    const sidecar = await liveSidecar()
    sidecar.clock.advance(1)
    await read(sidecar)
    t.match(
      sidecar.cache.status(),
      { feed: 'down', feedReason: 'the database answers from another history' },
      name,
    )
  }
})

t.test('an absence that is limited in time ends then, counted from the question', async (t) => {
  const sidecar = await liveSidecar()
  const { clock, store, feed, cache } = sidecar
  const { epoch } = store.now()
  store.read = async () => {
    clock.advance(100)
    return new Map([['k', { version: undefined, epoch, remainingMs: 500 }]])
  }
  t.match(await cache.get('k'), { value: undefined, stored: true, expiresInMs: 400 })
  clock.advance(50)
  t.match(await cache.get('k'), { ageMs: 150, ttlMs: 350, expiresInMs: 350, forwarded: undefined })
  clock.advance(350)
  feed.probe()()
  t.equal(cache.recall('k'), undefined)
})
