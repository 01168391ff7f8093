import t from 'tap'
import type { Entry } from '../../../../src/core/entry.js'
import { heldKeys } from '../../../../src/core/state/held-keys.js'
import { LocalCache } from '../../../../src/core/state/local-cache.js'

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `k${index}`)

function entry(key: string): Entry {
  return {
    key,
    value: '1',
    version: '1',
    mediaType: undefined,
    epoch: '1-00000001',
    isComparable: true,
    viaOutbox: false,
    reads: undefined,
    asOfMs: 0,
    expiresAtMs: 1,
    rowExpiresAtMs: 1,
    bytes: 1,
  }
}

/** Holds k0, k1, ..., the first used last. Between two turns of the walk `meanwhile` happens. */
function walkOver(count: number, meanwhile: (local: LocalCache, turn: number) => void = () => {}) {
  const local = new LocalCache({ capacity: 100_000, maxBytes: undefined, onEvict: () => {} })
  for (const key of numbered(count).reverse()) local.put(key, entry(key))
  let turns = 0
  const clock = {
    now: () => 0,
    defer: (task: () => void) => {
      meanwhile(local, ++turns)
      queueMicrotask(task)
    },
  }
  return heldKeys(local, clock).then((keys) => ({ keys, turns }))
}

t.test('every key is listed once, the most recently used first', async (t) => {
  for (const count of [0, 1, 999, 1_000, 1_001, 3_000])
    t.same((await walkOver(count)).keys, numbered(count), String(count))
  t.equal((await walkOver(3_000)).turns, 3, 'in turns')
})

t.test('the listing survives use, removal and replacement of the current entry', async (t) => {
  const all = numbered(3_000)
  const onTurn = (what: (local: LocalCache) => void) =>
    walkOver(3_000, (local, turn) => turn === 1 && what(local)).then(({ keys }) => keys)
  t.same(await onTurn((local) => local.get('k999')), all)
  t.same(await onTurn((local) => local.drop('k999')), all)
  t.same(await onTurn((local) => local.put('k999', entry('k999'))), all)
  const replaced = (local: LocalCache) => {
    local.drop('k999')
    local.put('new', entry('new'))
    local.put('k999', entry('k999'))
  }
  t.same((await onTurn(replaced)).sort(), [...all, 'new'].sort())
  t.same(await onTurn((local) => local.clear()), all.slice(0, 1_000))
  t.same(await onTurn((local) => local.resize({ capacity: 10, maxBytes: undefined })), all.slice(0, 1_000))
})

t.test('the listing ends, however many entries move', async (t) => {
  const { keys, turns } = await walkOver(3_000, (local) => {
    for (const key of numbered(3_000).reverse()) {
      local.drop(key)
      local.put(key, entry(key))
    }
  })
  t.ok(turns <= 7, String(turns))
  t.ok(keys.length >= 1_000)
})
