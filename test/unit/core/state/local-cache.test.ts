import t from 'tap'
import type { Entry } from '../../../../src/core/entry.js'
import { LocalCache, type LocalCacheOptions } from '../../../../src/core/state/local-cache.js'

const never = Number.POSITIVE_INFINITY

function entry(key: string, bytes = 10, version = '1'): Entry {
  return {
    key,
    value: '1'.padEnd(bytes - key.length),
    mediaType: undefined,
    version,
    epoch: '1-00000001',
    isComparable: true,
    viaOutbox: false,
    reads: undefined,
    asOfMs: 0,
    expiresAtMs: never,
    rowExpiresAtMs: never,
    bytes,
  }
}

function localCache(options: Partial<LocalCacheOptions> = {}) {
  let evicted = 0
  const local = new LocalCache({ capacity: 3, maxBytes: undefined, onEvict: () => evicted++, ...options })
  return { local, evicted: () => evicted }
}

t.test('an entry stays until it is dropped', async (t) => {
  const { local, evicted } = localCache()
  const it = entry('k')
  local.put('k', it)
  t.equal(local.get('k'), it)
  t.match(local, { size: 1, bytes: 10 })
  t.equal(local.drop('k'), true)
  t.equal(local.drop('k'), false, 'and it says whether it was')
  t.equal(local.get('k'), undefined)
  t.match(local, { size: 0, bytes: 0 })
  t.equal(evicted(), 0, 'nothing of this is an eviction')
})

t.test('beyond the capacity, the least recently used entry is evicted', async (t) => {
  const { local, evicted } = localCache()
  for (const key of ['a', 'b', 'c']) local.put(key, entry(key))
  local.get('a')
  local.put('d', entry('d'))
  t.same(
    ['a', 'b', 'c', 'd'].filter((key) => local.get(key)),
    ['a', 'c', 'd'],
  )
  t.equal(evicted(), 1)
  t.equal(local.size, 3)
})

t.test('beyond the limit in bytes, as many entries as needed are evicted', async (t) => {
  const { local, evicted } = localCache({ maxBytes: 100, capacity: 1_000 })
  for (const key of ['a', 'b', 'c', 'd']) local.put(key, entry(key, 25))
  t.match(local, { size: 4, bytes: 100 })
  t.equal(evicted(), 0)
  local.put('e', entry('e', 30))
  t.same(
    ['a', 'b', 'c', 'd', 'e'].filter((key) => local.get(key)),
    ['c', 'd', 'e'],
  )
  t.equal(local.bytes, 80)
  t.equal(evicted(), 2)
})

t.test('replacing an entry counts its bytes and is no eviction', async (t) => {
  const { local, evicted } = localCache({ maxBytes: 100 })
  local.put('k', entry('k', 60))
  const second = entry('k', 80, '2')
  local.put('k', second)
  t.equal(local.get('k'), second)
  t.match(local, { size: 1, bytes: 80 })
  t.equal(evicted(), 0)
})

t.test('an entry larger than the limit is not held, and the one it replaces is dropped', async (t) => {
  const { local } = localCache({ maxBytes: 100 })
  local.put('k', entry('k', 60))
  local.put('other', entry('other', 10))
  local.put('k', entry('k', 101, '2'))
  t.equal(local.get('k'), undefined)
  t.ok(local.get('other'))
  t.equal(local.bytes, 10)
  local.put('other', entry('other', 100, '2'))
  t.equal(local.get('other')?.version, '2', 'one that just fits is')
})

t.test('clear drops all entries, which is no eviction', async (t) => {
  const { local, evicted } = localCache()
  for (const key of ['a', 'b']) local.put(key, entry(key))
  local.clear()
  t.match(local, { size: 0, bytes: 0 })
  t.equal(evicted(), 0)
})

t.test('ids is a copy, and peeking at an entry does not count as use', async (t) => {
  const { local } = localCache({ capacity: 2 })
  local.put('a', entry('a', 10, '7'))
  local.put('b', entry('b', 10, '8'))
  const ids = local.ids()
  t.match(local.peek('a'), { key: 'a', version: '7' })
  local.put('c', entry('c'))
  t.equal(local.peek('a'), undefined, 'it was the one not used for longest')
  t.same(ids.sort(), ['a', 'b'])
})

t.test('resizing keeps the entries in their order of use', async (t) => {
  const { local, evicted } = localCache({ capacity: 5 })
  const held = () => local.ids().sort()
  for (const key of ['a', 'b', 'c', 'd', 'e']) local.put(key, entry(key))
  const a = local.get('a')
  local.resize({ capacity: 6, maxBytes: undefined })
  t.equal(local.get('a'), a, 'the very entries')
  t.match(local, { size: 5, bytes: 50 })
  t.equal(evicted(), 0)
  local.put('f', entry('f'))

  local.resize({ capacity: 3, maxBytes: undefined })
  t.same(held(), ['a', 'e', 'f'], 'what was not used for longest goes')
  t.equal(evicted(), 3)
  local.put('b', entry('b'))
  t.same(held(), ['a', 'b', 'f'], 'and goes on to')
  t.equal(evicted(), 4)
})

t.test('resizing in bytes evicts as many entries as needed', async (t) => {
  const { local, evicted } = localCache({ capacity: 5 })
  for (const key of ['a', 'b', 'c']) local.put(key, entry(key, 25))
  local.resize({ capacity: 5, maxBytes: 60 })
  t.same(
    ['a', 'b', 'c'].map((key) => local.get(key)?.key),
    [undefined, 'b', 'c'],
  )
  t.match(local, { size: 2, bytes: 50 })
  t.equal(evicted(), 1)
  local.resize({ capacity: 5, maxBytes: undefined })
  local.put('large', entry('large', 1_000))
  t.equal(local.bytes, 1_050, 'and without a bound again')
})
