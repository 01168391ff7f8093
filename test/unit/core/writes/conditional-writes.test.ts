/** Writes with a condition: `Cache.change()`. */
import t from 'tap'
import type { CacheErrorCode } from '../../../../src/core/errors.js'
import { entryTag } from '../../../../src/core/state/entry-tag.js'
import { liveSidecar, maxStalenessMs } from '../../../support/model-sidecar.js'

const [one, two, three] = ['1', '2', '3'].map((value) => ({ value })) as [Content, Content, Content]

interface Content {
  readonly value: string
}

async function tagOf({ cache }: Awaited<ReturnType<typeof liveSidecar>>, key = 'k'): Promise<string> {
  const { written } = await cache.get(key)
  if (written === undefined) throw new Error('there is no entry')
  return entryTag(written)
}

t.test('a write tells whether there was an entry, and is held', async (t) => {
  const { cache } = await liveSidecar()
  t.match(await cache.change('k', one), { kind: 'written', existed: false })
  t.equal(cache.hit('k')?.value, '1')
  t.match(await cache.change('k', two), { kind: 'written', existed: true })
  t.equal(cache.hit('k')?.value, '2')
  t.match(await cache.change('k', undefined), { kind: 'written', existed: true, written: undefined })
  t.equal(cache.hit('k'), undefined)
  t.match(await cache.change('k', undefined), { kind: 'written', existed: false })
})

t.test('the store decides, and not the entry that is held', async (t) => {
  const sidecar = await liveSidecar()
  const { cache, store } = sidecar
  store.setBySql('k', '1')
  const tag = await tagOf(sidecar)
  const writing = store.hold('write')
  const changing = cache.change('k', three, { condition: { match: [tag] } })
  await writing.reached
  store.setBySql('k', '2')
  writing.open()
  t.same(await changing, { kind: 'unmet' })
  t.equal(store.valueOf('k'), '2')
})

t.test('what a condition was about is not served after it did not hold', async (t) => {
  const sidecar = await liveSidecar()
  const { cache, store } = sidecar
  store.setBySql('k', '1')
  const tag = await tagOf(sidecar)
  store.setBySql('k', '2')
  t.equal(cache.hit('k')?.value, '1')
  t.same(await cache.change('k', three, { condition: { match: [tag] } }), { kind: 'unmet' })
  t.equal((await cache.get('k')).value, '2')
})

t.test('an entry stays held if a condition about it did not hold', async (t) => {
  const { cache, store } = await liveSidecar()
  store.setBySql('k', '1')
  await cache.get('k')
  t.same(await cache.change('k', two, { condition: { noneMatch: '*' } }), { kind: 'unmet' })
  t.equal(cache.hit('k')?.value, '1')
})

t.test('two writes with one condition are two statements, and one of them succeeds', async (t) => {
  const sidecar = await liveSidecar()
  const { cache, store } = sidecar
  store.setBySql('k', '0')
  const tag = await tagOf(sidecar)
  const writing = store.hold('write')
  const changing = [one, two, three].map((content) =>
    cache.change('k', content, { condition: { match: [tag] } }),
  )
  await writing.reached
  writing.open()
  const kinds = (await Promise.all(changing)).map(({ kind }) => kind)
  t.same(kinds.sort(), ['unmet', 'unmet', 'written'])
  t.equal(store.statements.filter(({ operation }) => operation === 'write').length, 3)
})

for (const code of ['store-unavailable', 'store-suspended', 'login-refused'] as const) {
  t.test(`P9: a write with a condition is never kept: ${code}`, async (t) => {
    const { cache, store } = await liveSidecar()
    store.setBySql('k', '0')
    await cache.get('k')
    for (const content of [one, undefined]) {
      const operation = content ? 'write' : 'remove'
      store.fail(operation, code)
      await t.rejects(cache.change('k', content, { condition: { match: '*' } }), { code })
      t.equal(cache.status().pendingWrites, 0)
      store.fail(operation, code)
      t.same(await cache.change('k', content), { kind: 'kept' })
      t.equal(cache.status().pendingWrites, 1)
      t.match(await cache.get('k'), { value: content?.value, stale: 'kept' })
      t.match(await cache.change('k', { value: '0' }, undefined), { kind: 'written' })
      t.equal(cache.status().pendingWrites, 0)
    }
  })
}

t.test('with `reject`, no write is kept', async (t) => {
  const { cache, store } = await liveSidecar({ onWriteOutage: 'reject' })
  store.fail('write', 'store-unavailable')
  await t.rejects(cache.change('k', one), { code: 'store-unavailable' })
})

t.test('P9: a pending write of the key is sent before a condition is decided', async (t) => {
  const sidecar = await liveSidecar()
  const { cache, store } = sidecar
  store.setBySql('k', '0')
  const tag = await tagOf(sidecar)
  store.fail('write', 'store-unavailable')
  t.same(await cache.change('k', one), { kind: 'kept' })
  t.same(
    await cache.change('k', two, { condition: { match: [tag] } }),
    { kind: 'unmet' },
    'the pending write came first',
  )
  t.equal(store.valueOf('k'), '1')
  t.match(await cache.change('k', two, { condition: { match: [await tagOf(sidecar)] } }), { kind: 'written' })
})

t.test('P9: as long as a pending write cannot be sent, no condition is decided', async (t) => {
  const { cache, store } = await liveSidecar()
  store.setBySql('k', '0')
  await cache.get('k')
  store.fail('write', 'store-unavailable')
  await cache.change('k', one)
  const obstacles: readonly CacheErrorCode[] = ['store-unavailable', 'row-locked']
  for (const code of obstacles) {
    store.fail('settle', code)
    await t.rejects(
      cache.change('k', two, { condition: { match: '*' } }),
      { code: 'store-unavailable' },
      code,
    )
    t.equal(store.valueOf('k'), '0')
    t.equal(cache.status().pendingWrites, 1)
  }
  t.match(await cache.change('j', two, { condition: { noneMatch: '*' } }), { kind: 'written' }, 'another key')
})

t.test('P9: a write that is kept while one with a condition is in flight is not lost', async (t) => {
  const { cache, store } = await liveSidecar()
  store.setBySql('k', '0')
  await cache.get('k')
  const writing = store.hold('write', 'after')
  const changing = cache.change('k', one, { condition: { match: '*' } })
  await writing.reached
  store.fail('write', 'store-unavailable')
  store.fail('settle', 'store-unavailable')
  t.same(await cache.change('k', two), { kind: 'kept' })
  writing.open()
  t.match(await changing, { kind: 'written' })
  t.equal(cache.status().pendingWrites, 1)
})

t.test('P3: an unknown outcome is not repeated, and the entry is dropped', async (t) => {
  const { cache, store } = await liveSidecar()
  store.setBySql('k', '0')
  await cache.get('k')
  store.fail('write', 'outcome-unknown', 'after')
  await t.rejects(cache.change('k', one, { condition: { match: '*' } }), { code: 'outcome-unknown' })
  t.equal(store.statements.filter(({ operation }) => operation === 'write').length, 1)
  t.equal(cache.hit('k'), undefined)
  t.equal((await cache.get('k')).value, '1')
  t.match(cache.status().stats, { writesUnknown: 1 })
})

t.test('P3: a change that arrives during a write keeps it from being held', async (t) => {
  const { cache, store, feed } = await liveSidecar()
  const writing = store.hold('write', 'after')
  const changing = cache.change('k', one, { condition: { noneMatch: '*' } })
  await writing.reached
  store.setBySql('k', '2')
  feed.deliver()
  writing.open()
  t.match(await changing, { kind: 'written' })
  t.equal(cache.hit('k'), undefined)
})

t.test('a row that a trigger leaves out is an error, and one that it changes is not held', async (t) => {
  const { cache, store } = await liveSidecar()
  store.alterWith(() => undefined)
  await t.rejects(cache.change('k', one, { condition: { noneMatch: '*' } }), { code: 'not-stored' })
  store.alterWith((value) => `${value}.5`)
  t.match(await cache.change('k', one), { kind: 'written', written: undefined })
  t.equal(cache.hit('k'), undefined)
})

t.test('the media type of a value is held, confirmed and kept with it', async (t) => {
  const { cache, store, clock } = await liveSidecar()
  const content = { value: '"AAE="', mediaType: 'image/png;base64' }
  await cache.change('k', content)
  const bytes = cache.status().bytes
  t.equal(bytes, 'k'.length + content.value.length + content.mediaType.length)
  t.match(await cache.get('k', { strong: true }), { ...content, revalidated: true })
  clock.advance(maxStalenessMs + 1)
  t.match(await cache.get('k'), { ...content, forwarded: 'stale' })
  store.fail('write', 'store-unavailable')
  const other = { value: '"AAI="', mediaType: 'image/gif;base64' }
  t.same(await cache.change('k', other), { kind: 'kept' })
  t.match(await cache.get('k'), { ...other, stale: 'kept' })
  const pending = cache.status().pendingBytes
  store.fail('write', 'store-unavailable')
  await cache.set('k', other.value)
  t.equal(cache.status().pendingBytes, pending - other.mediaType.length)
  await cache.close()
  t.match(cache.status().stats, { pendingConflicts: 0, pendingSettled: 1 })
  t.match(await cache.get('k', { strong: true }), { value: other.value, mediaType: undefined })
})
