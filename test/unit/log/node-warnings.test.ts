import { once } from 'node:events'
import t from 'tap'
import { logNodeWarnings } from '../../../src/telemetry/log/node-warnings.js'

t.test('a warning of Node is a line of the log, and is not printed', async (t) => {
  const before = process.listeners('warning')
  t.teardown(() => {
    process.removeAllListeners('warning')
    for (const listener of before) process.on('warning', listener)
  })
  const logged: unknown[] = []
  logNodeWarnings({ warn: (fields, message) => logged.push([fields, message]) })
  t.equal(process.listenerCount('warning'), 1)
  const warned = once(process, 'warning')
  process.emitWarning('too many listeners', { type: 'SomeWarning', code: 'DEP0' })
  await warned
  t.strictSame(logged, [[{ warning: 'SomeWarning', reason: 'too many listeners' }, 'warning of Node.js']])
})
