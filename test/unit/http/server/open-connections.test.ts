import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { OpenConnections } from '../../../../src/http/server/open-connections.js'

/** A connection as `OpenConnections` sees it. */
class Connection extends EventEmitter {
  bytesRead = 0
  writableLength = 0
  _handle = { writeQueueSize: 0 }
  _httpMessage: object | null = null
  isDestroyed = false

  destroy(): void {
    this.isDestroyed = true
  }
}

function opened(t: Test, { maxConnections = 2, evicts = 'idle' as 'idle' | 'any' } = {}) {
  mock.timers.enable({ apis: ['setInterval'] })
  t.teardown(() => mock.timers.reset())
  const limits = { maxConnections, evicts, readTimeoutMs: 3_000, checkIntervalMs: 1_000 }
  let full = 0
  const connections = new OpenConnections(limits, () => full++)
  t.teardown(() => connections.close())
  const add = (isBusy = false) => {
    const connection = new Connection()
    if (isBusy) connection._httpMessage = {}
    connections.add(connection as unknown as Socket)
    return connection
  }
  const look = () => mock.timers.tick(1_000)
  return { connections, add, look, full: () => full }
}

const none = { full: 0, evicted: 0, unread: 0, turned_away: 0, pipelined: 0 }

t.test('at the maximum, the connection that has been idle longest makes room', async (t) => {
  const { connections, add, look, full } = opened(t, { maxConnections: 3 })
  const [busy, first, second] = [add(true), add(), add()]
  t.equal(full(), 0)
  // It is active, so the other one has been idle for longer.
  first.bytesRead = 10
  look()
  const third = add()
  t.strictSame(
    [busy, first, second, third].map(({ isDestroyed }) => isDestroyed),
    [false, false, true, false],
  )
  t.strictSame(connections.closed, { ...none, evicted: 1 })
  t.equal(full(), 1)
})

t.test('if none is idle, the new one is refused', async (t) => {
  const { connections, add, full } = opened(t)
  const busy = [add(true), add(true)]
  const refused = add()
  t.equal(refused.isDestroyed, true)
  t.strictSame(connections.closed, { ...none, full: 1 })
  t.equal(full(), 1)
  busy[0]?.emit('close')
  t.equal(add().isDestroyed, false, 'there is room again')
})

t.test('where any connection may be closed, an idle one goes before a busy one', async (t) => {
  const { connections, add } = opened(t, { evicts: 'any' })
  const [busy, idle] = [add(true), add()]
  const next = add(true)
  t.strictSame([busy.isDestroyed, idle.isDestroyed], [false, true])
  add(true)
  t.strictSame([busy.isDestroyed, next.isDestroyed], [true, false], 'the one inactive for longest')
  t.strictSame(connections.closed, { ...none, evicted: 2 })
})

t.test('a connection that was evicted counts no more, even before it is closed', async (t) => {
  const { add } = opened(t, { maxConnections: 1 })
  const all = [add(), add(), add()]
  t.strictSame(
    all.map(({ isDestroyed }) => isDestroyed),
    [true, true, false],
  )
})

t.test('a client that reads nothing for the time allowed is disconnected', async (t) => {
  const { connections, add, look } = opened(t)
  const [stuck, slow] = [add(true), add(true)]
  for (const one of [stuck, slow]) one.writableLength = 1_000
  for (const connection of [stuck, slow]) connection._handle.writeQueueSize = 500
  look()
  for (let second = 1; second < 3; second++) {
    // One large write shrinks only there.
    slow._handle.writeQueueSize -= 1
    look()
    t.equal(stuck.isDestroyed, false, `after ${second} s`)
  }
  look()
  t.strictSame([stuck.isDestroyed, slow.isDestroyed], [true, false])
  t.strictSame(connections.closed, { ...none, unread: 1 })
})

t.test('a client whose responses are all sent may stay', async (t) => {
  const { connections, add, look } = opened(t)
  const connection = add()
  connection.writableLength = 1_000
  for (let second = 0; second < 3; second++) look()
  connection.writableLength = 0
  look()
  connection.writableLength = 1_000
  for (let second = 0; second < 3; second++) look()
  t.equal(connection.isDestroyed, false, 'the time begins anew')
  t.strictSame(connections.closed, none)
})

t.test('after the end, nothing is checked', async (t) => {
  const { connections, add, look } = opened(t)
  const connection = add(true)
  connection.writableLength = 1
  connections.close()
  for (let second = 0; second < 9; second++) look()
  t.equal(connection.isDestroyed, false)
})
