import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { FileWatch } from '../../../src/config/file-watch.js'

/** Starts a watch whose file nothing looks at, with timeouts that the test lets pass. */
function started(t: Test, more: { readonly pollMs?: number } = {}) {
  mock.timers.enable({ apis: ['setTimeout'] })
  let look: readonly [path: string, options: object, onChange: () => void] | undefined
  mock.method(fs, 'watchFile', (...given: NonNullable<typeof look>) => {
    look = given
  })
  syncBuiltinESMExports()
  t.teardown(() => {
    mock.reset()
    syncBuiltinESMExports()
  })
  let touched = 0
  const watch = new FileWatch({ path: '/file', onTouched: () => touched++, ...more })
  watch.start()
  const [path, options, onChange] = look ?? []
  return { watch, path, options, onChange, touched: () => touched }
}

t.test('a file is looked at once a second, unless the caller says otherwise', async (t) => {
  t.match(started(t), { path: '/file', options: { interval: 1_000, persistent: false } })
  mock.reset()
  t.match(started(t, { pollMs: 5 }), { options: { interval: 5, persistent: false } })
})

t.test('a writer has 100 ms to finish, and what happens meanwhile is reported once', async (t) => {
  const { onChange, touched } = started(t)
  mock.timers.tick(99)
  onChange?.()
  t.equal(touched(), 0)
  mock.timers.tick(1)
  t.equal(touched(), 1)
  mock.timers.tick(1_000)
  t.equal(touched(), 1)
  onChange?.()
  mock.timers.tick(100)
  t.equal(touched(), 2)
})

t.test('a change that was about to be reported is not reported after the end', async (t) => {
  const { watch, touched } = started(t)
  watch.close()
  mock.timers.tick(1_000)
  t.equal(touched(), 0)
})
