import { execFile } from 'node:child_process'
import t from 'tap'

const text = `
import t from 'tap'
t.test('throws', async () => {
  setImmediate(() => { throw new Error('late') })
  await new Promise(() => undefined)
})
t.test('rejects', async () => {
  Promise.reject(new Error('nobody'))
  await new Promise(() => undefined)
})
t.test('passes', async (t) => t.pass())
`

t.test('an error that nobody catches fails the test that is running', async (t) => {
  const folder = t.testdir({ 'some.test.mjs': text })
  const args = ['--import=./test/support/without-async-hooks.mjs', `${folder}/some.test.mjs`]
  const { TAP_DIAG: _, ...env } = process.env
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { env }, (_error, stdout) => resolve(stdout))
  })
  t.match(output, /^not ok 1 - throws/m)
  t.match(output, /^not ok 2 - rejects/m)
  t.match(output, /^ok 3 - passes/m)
})
