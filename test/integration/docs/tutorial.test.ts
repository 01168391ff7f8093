import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

t.test("the tutorial's application caches what it computes, and follows a change by SQL", async (t) => {
  const page = await readFile('docs/tutorial/first-sidecar.md', 'utf8')
  const [, app = ''] = /```js\n(.*?)```/s.exec(page) ?? []
  const [, update = ''] = /-d "(update .*? where key = 'name:42')"/.exec(page) ?? []
  const script = join(t.testdir({}), 'app.mjs')
  await writeFile(script, app)
  const { url, query } = await freshDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  const child = spawn(process.execPath, [script], {
    env: { PATH: process.env.PATH, CACHE_URL: client.base, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  const port = await eventually(() => /listening on port (\d+)/.exec(out)?.[1])
  const ask = async () => (await fetch(`http://127.0.0.1:${port}/?id=42`)).text()

  t.match(await ask(), /^user number 42 \(\d+ ms\)\n$/)
  t.equal(await client.held('name:42'), 'user number 42')
  t.match(await ask(), /^user number 42 /)
  t.equal((await query(update)).rowCount, 1)
  t.ok(await eventually(async () => /^Ada \(\d+ ms\)\n$/.test(await ask())))
})
