import { PassThrough } from 'node:stream'
import t from 'tap'
import { restore } from '../../../src/cli/commands/restore.js'
import { eventually } from '../../support/eventually.js'

function run(stdin: PassThrough, stop: AbortSignal): Promise<number> {
  return restore.run({
    flags: new Set(),
    values: new Map(),
    lists: new Map(),
    positionals: [],
    environment: { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/none' },
    stop,
    out: () => undefined,
    note: () => undefined,
    progress: () => undefined,
    onHangup: () => undefined,
    isTerminal: false,
    stdin: () => stdin,
    stdout: () => new PassThrough(),
  })
}

t.test('a restore that is stopped before the backup arrives changes nothing', async (t) => {
  for (const begun of [Buffer.from(''), Buffer.from('{"format":'), Buffer.of(0x1f, 0x8b, 8, 0)]) {
    const [stdin, stop] = [new PassThrough(), new AbortController()]
    const restoring = run(stdin, stop.signal)
    if (begun.length > 0) {
      stdin.write(begun)
      await eventually(() => stdin.readableLength === 0)
    }
    stop.abort()
    await t.rejects(restoring, { message: 'stopped; nothing was changed', cause: { name: 'AbortError' } })
  }
})

t.test('what follows a fault of the backup is not waited for', async (t) => {
  const stdin = new PassThrough()
  stdin.write('PGDMP\n')
  await t.rejects(run(stdin, new AbortController().signal), {
    message: 'this is not a backup of caching-layer',
  })
  t.ok(stdin.destroyed)
})

t.test('no backup is read from a terminal', async (t) => {
  const stdin = Object.assign(new PassThrough(), { isTTY: true })
  await t.rejects(run(stdin, new AbortController().signal), { name: 'UsageError', message: /--file/ })
})
