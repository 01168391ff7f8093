import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { CliProcess } from '../support/child-process.js'
import { eventually } from '../support/eventually.js'
import { silentServer } from '../support/silent-server.js'

/**
 * Loaded by Node in front of the program: every file but main.js and what it imports statically waits until `gate` is
 * there.
 */
const hooks = `
import { existsSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
export async function load(url, context, next) {
  if (/\\/dist\\/(?!main\\.js|cli\\/stop-signal\\.js)/.test(url) && !url.includes('/node_modules/')) {
    writeSync(2, 'held back\\n')
    while (!existsSync(process.env.GATE)) await sleep(5)
  }
  return next(url, context)
}`

t.test('SIGTERM and SIGINT while the program is loading end it cleanly', async (t) => {
  const folder = t.testdir({
    'hooks.mjs': hooks,
    'preload.mjs': `import { register } from 'node:module'; register('./hooks.mjs', import.meta.url)`,
  })
  const preload = pathToFileURL(join(folder, 'preload.mjs')).href
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const gate = join(folder, signal)
    const process = new CliProcess(t, ['serve'], {
      NODE_OPTIONS: `--import=${preload}`,
      GATE: gate,
      PORT: '0',
      OPS_PORT: '0',
      ...(signal === 'SIGTERM' && { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/nothing' }),
    })
    await eventually(() => process.hasExited || process.stderr.includes('held back'))
    process.kill(signal)
    await writeFile(gate, '')
    t.same(await process.exited, { code: 0, signal: null }, signal)
    t.notOk(process.log.some(({ msg }) => msg === 'serving'))
    t.match(
      process.log.find(({ msg }) => msg === 'stopping'),
      { told: 'by a signal' },
    )
    // It is never connected to.
    t.match(
      process.log.filter(({ msg }) => msg === 'DATABASE_URL is not set: using the default'),
      signal === 'SIGTERM' ? { length: 0 } : [{ level: 40, databaseUrl: /^postgresql:\/\// }],
      signal,
    )
  }
})

t.test('a start that is stopped does not log that the sidecar is serving', async (t) => {
  // The first attempt to connect goes on until it is given up.
  const { url } = await silentServer(t)
  const process = new CliProcess(t, ['serve'], {
    PORT: '0',
    OPS_PORT: '0',
    DATABASE_URL: url,
  })
  await eventually(() => process.log.some(({ msg }) => msg === 'answering probes'))
  process.kill('SIGTERM')
  t.match(await process.exited, { code: 0 })
  t.notOk(process.log.some(({ msg }) => msg === 'serving'))
  t.ok(process.log.some(({ msg }) => msg === 'stopping'))
})
