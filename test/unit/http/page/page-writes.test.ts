import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import { CacheError } from '../../../../src/core/errors.js'
import { keyHash } from '../../../../src/core/state/key-hash.js'
import { PageWrites, type PageWritesSources } from '../../../../src/http/ops/page/writes/page-writes.js'
import { RequestBodies } from '../../../../src/http/server/request-bodies.js'
import { Gate } from '../../../support/gate.js'
import { recordingLog } from '../../../support/recording-log.js'
import { turn } from '../../../support/turn.js'

type Cached = PageWritesSources['cache']

function requestWith(body: object): IncomingMessage {
  const request = Readable.from([Buffer.from(JSON.stringify(body))])
  return Object.assign(request, { headers: {}, socket: { remoteAddress: '10.1.2.3' } }) as never
}

function setup(more: { cache?: Partial<Cached> } & Partial<Omit<PageWritesSources, 'cache'>> = {}) {
  const { log, logged } = recordingLog()
  const bodies = new RequestBodies(10_000)
  const { cache, ...rest } = more
  const sources: PageWritesSources = {
    dropEverywhere: async () => undefined,
    isServing: () => true,
    keys: 'on',
    maxValueBytes: 1_000,
    bodies,
    log,
    ...rest,
    cache: {
      set: async () => ({ written: true }) as never,
      delete: async () => ({ stored: true, token: 't' }) as never,
      drop: () => true,
      ...cache,
    },
  }
  const writes = new PageWrites(sources)
  return {
    writes,
    logged,
    bodies,
    write: (name: 'set' | 'delete' | 'drop', body: object) => writes.write(name, requestWith(body)),
  }
}

const set = { key: 'k', value: 1 }

t.test('each change has its outcome, which is logged', async (t) => {
  const changes: readonly (readonly [Partial<Cached>, 'set' | 'delete' | 'drop', object, outcome: string])[] =
    [
      [{}, 'set', set, 'written'],
      [{ set: async () => ({ written: false }) as never }, 'set', set, 'pending'],
      [{}, 'delete', { key: 'k' }, 'deleted'],
      [{ delete: async () => ({ stored: false, token: 't' }) as never }, 'delete', { key: 'k' }, 'absent'],
      [{ delete: async () => ({ stored: false }) as never }, 'delete', { key: 'k' }, 'pending'],
      [{}, 'drop', { key: 'k', everywhere: false }, 'dropped'],
      [{ drop: () => false }, 'drop', { key: 'k', everywhere: false }, 'not-held'],
      [{ drop: () => false }, 'drop', { key: 'k', everywhere: true }, 'dropped-everywhere'],
    ]
  for (const [cache, action, body, outcome] of changes) {
    const { write, logged, bodies } = setup({ cache })
    t.strictSame(await write(action, body), { outcome })
    t.strictSame(logged, [
      {
        level: 'info',
        fields: { action, from: '10.1.2.3', key: 'k', outcome },
        message: 'a key was changed on the page',
      },
    ])
    t.equal(bodies.bytes, 0)
  }
})

t.test('three changes can be made, with bodies up to the size of a value', async (t) => {
  const { writes, write } = setup({ maxValueBytes: 22 })
  for (const name of ['set', 'delete', 'drop']) t.equal(writes.has(name), true, name)
  for (const name of ['', 'keys', 'toString']) t.equal(writes.has(name), false, name)
  t.strictSame(await write('set', { key: 'k', value: 12 }), { outcome: 'written' })
  await t.rejects(write('set', { key: 'k', value: 123 }), {
    status: 413,
    message: 'body: larger than 22 bytes',
  })
})

t.test('a key that is dropped everywhere is dropped here, too; if the first fails, neither', async (t) => {
  const dropped: string[] = []
  const cache = { drop: (key: string) => dropped.push(`here: ${key}`) > 0 }
  const dropEverywhere = async (key: string) => {
    dropped.push(`everywhere: ${key}`)
  }
  const body = { key: 'k', everywhere: true }
  await setup({ cache, dropEverywhere }).write('drop', body)
  t.strictSame(dropped, ['everywhere: k', 'here: k'])
  const failing = setup({ cache, dropEverywhere: () => Promise.reject(new CacheError('forbidden', 'm')) })
  await t.rejects(failing.write('drop', body), { code: 'forbidden' })
  t.strictSame(dropped.length, 2)
  t.strictSame(failing.logged, [
    {
      level: 'warn',
      fields: { action: 'drop', from: '10.1.2.3', key: 'k', reason: 'forbidden' },
      message: 'a key could not be changed on the page',
    },
  ])
})

t.test('the log has the hash of a key if the page has', async (t) => {
  const { write, logged } = setup({ keys: 'hash' })
  await write('set', set)
  t.strictSame(logged[0]?.fields, {
    action: 'set',
    from: '10.1.2.3',
    keyHash: keyHash('k'),
    outcome: 'written',
  })
})

t.test('while the sidecar does not serve, nothing is changed', async (t) => {
  const { write, logged } = setup({ isServing: () => false, cache: { set: () => t.fail() as never } })
  await t.rejects(write('set', set), { status: 503, kind: 'not-serving', message: /nothing was changed/ })
  t.strictSame(logged, [])
})

t.test('the end of the sidecar waits for the changes under way, even if they fail', async (t) => {
  const gate = new Gate()
  const { writes, write } = setup({
    cache: { set: () => gate.pass().then(() => Promise.reject(new CacheError('refused', 'm'))) },
  })
  await writes.finished()
  const refused = t.rejects(write('set', set), { code: 'refused' })
  await gate.reached
  let isFinished = false
  const finished = writes.finished().then(() => {
    isFinished = true
  })
  await turn()
  t.equal(isFinished, false)
  gate.open()
  await Promise.all([finished, refused])
})
