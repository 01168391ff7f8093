import { spawnSync } from 'node:child_process'
import { existsSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { audit } from '../../../src/cli/commands/audit.js'
import { CliProcess } from '../../support/child-process.js'
import { commandRun } from '../../support/command-run.js'
import { cacheDatabase, freshDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const sidecar = 'http://127.0.0.1:1'

t.test('an audit that cannot be carried out exits with 3', async (t) => {
  const empty = await freshDatabase(t)
  for (const [name, DATABASE_URL] of [
    ['no server', 'postgresql://user@127.0.0.1:1/none'],
    ['no table', empty.url],
  ] as const) {
    const process = new CliProcess(t, ['audit', sidecar], { DATABASE_URL })
    t.same(await process.exited, { code: 3, signal: null }, `${name}: ${process.stderr}`)
    t.match(process.stderr, /^caching-layer: cannot receive changes: ./)
  }
})

t.test('wrong use exits with 2, and no violation with 0', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl: url })
  for (const args of [['audit'], ['audit', sidecar, '--sample=2']]) {
    const process = new CliProcess(t, args, { DATABASE_URL: url })
    t.same(await process.exited, { code: 2, signal: null }, args.join(' '))
  }
  const process = new CliProcess(t, ['audit', client.base, '--minutes=0.001'], { DATABASE_URL: url })
  t.same(await process.exited, { code: 0, signal: null }, process.stderr)
})

t.test('an audit without changes exits with 3 if a sidecar never answered', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client, ops } = await startLiveSidecar(t, { databaseUrl: url })
  const run = (positionals: string[]) =>
    commandRun(audit, { positionals, values: { minutes: '0.001' }, environment: { DATABASE_URL: url } })
  const { code, out, notes } = await run([client.base, sidecar])
  t.equal(code, 3, out.join())
  t.strictSame(notes, [
    `${sidecar} gives no usable answer: connect ECONNREFUSED 127.0.0.1:1`,
    `the audit is inconclusive: no answer that counts from ${sidecar}`,
  ])
  await t.rejects(run([client.base, ops.base]), {
    name: 'UsageError',
    message: `${ops.base} is the operations listener of a sidecar; name its data listener (PORT, 8025 by default)`,
  })
})

t.test('an audit that crashes exits with 3', async (t) => {
  const { url, query } = await cacheDatabase(t)
  const crash = join(
    t.testdir({ 'crash.cjs': "process.on('SIGUSR2', () => { throw new Error('a crash') })" }),
    'crash.cjs',
  )
  const process = new CliProcess(t, ['audit', sidecar], {
    DATABASE_URL: url,
    NODE_OPTIONS: `--require="${crash}"`,
  })
  // Its connection shows that it runs.
  const sessions =
    "select from pg_stat_activity where datname = current_database() and application_name = 'caching-layer changes'"
  await eventually(async () => process.hasExited || (await query(sessions)).rows.length > 0)
  process.kill('SIGUSR2')
  t.same(await process.exited, { code: 3, signal: null }, process.stderr)
  t.match(process.stderr, /a crash/)
})

const withoutFull = !existsSync('/dev/full') && 'this system has no /dev/full'

t.test('output that cannot be written is no violation', { skip: withoutFull }, async (t) => {
  const { url } = await cacheDatabase(t)
  const program = fileURLToPath(new URL('../../../dist/main.js', import.meta.url))
  for (const [args, code] of [
    [['audit', sidecar, '--minutes=0.001'], 3],
    [['config'], 1],
  ] as const) {
    const { status, stderr } = spawnSync(process.execPath, [program, ...args], {
      env: { ...process.env, DATABASE_URL: url },
      stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
      encoding: 'utf8',
    })
    t.equal(status, code, args[0])
    t.match(stderr, /^caching-layer: the output cannot be written: .*ENOSPC/m)
    t.notMatch(stderr, /\n\s+at /, 'without a stack')
  }
})
