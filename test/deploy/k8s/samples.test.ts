import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const { url } = await freshDatabase(t)
const { client } = await startLiveSidecar(t, { databaseUrl: url })
await client.set('foo', 'bar')

function start(script: string): { readonly child: ChildProcess; readonly out: () => string } {
  const child = spawn(process.execPath, [script], {
    env: { PATH: process.env.PATH, CACHE_URL: client.base, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  return { child, out: () => out }
}

t.test('the sample app answers from its sidecar, and ends when told to', async (t) => {
  const { child, out } = start('k8s/sample-app/app.mjs')
  const port = await eventually(() => /listening on (\d+)/.exec(out())?.[1])
  const base = `http://127.0.0.1:${port}`
  t.equal((await fetch(`${base}/healthz`)).status, 200)
  const answer = await fetch(`${base}/?key=foo`)
  t.match(await answer.json(), { key: 'foo', value: 'bar', source: 'cache' })
  t.equal((await fetch(`${base}/?key=none`)).status, 404)
  const ended = once(child, 'close')
  child.kill('SIGTERM')
  t.same(await ended, [0, null])
})

t.test('the job does its work and ends', async (t) => {
  const { child, out } = start('k8s/examples/job-with-sidecar/work.mjs')
  t.same(await once(child, 'close'), [0, null])
  t.same(JSON.parse(out()), { cache: 100 })
})
