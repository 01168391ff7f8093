/**
 * Loaded before each test file (`node-arg` of tap in package.json). tap listens to the creation and the end of every
 * promise by async_hooks, so that an error that nobody catches fails the test whose asynchronous calls led to it. That
 * takes up to two fifths of the CPU time of tests. Instead, such an error fails the test that is running.
 */
import asyncHooks from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'

const hook = { enable: () => hook, disable: () => hook }
asyncHooks.createHook = () => hook
syncBuiltinESMExports()
const { default: tap } = await import('tap')
process.setUncaughtExceptionCaptureCallback((error) => {
  let running = tap
  while (running.activeSubtests.size > 0) running = [...running.activeSubtests].at(-1)
  running.hookDomain.onerror(error, 'uncaughtException')
})
