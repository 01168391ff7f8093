import { readFile, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openServerLog, startFailure, textFrom } from '../../../src/dev/server-log.js'

t.test('the log is appended to, and only its owner may read it', async (t) => {
  const path = join(t.testdir(), 'server.log')
  for (const text of ['first\n', 'second\n']) {
    const log = await openServerLog(path)
    await log.write(text)
    t.equal(await textFrom(log, 6), text === 'first\n' ? '' : 'second\n')
    await log.close()
  }
  t.equal(await readFile(path, 'utf8'), 'first\nsecond\n')
  t.equal((await stat(path)).mode & 0o777, 0o600)
})

t.test('a link in the place of the log is not followed', async (t) => {
  const folder = t.testdir({ other: 'text' })
  await symlink(join(folder, 'other'), join(folder, 'server.log'))
  await t.rejects(openServerLog(join(folder, 'server.log')), { code: 'ELOOP' })
})

t.test('the reason why a server did not start is one line', async (t) => {
  const at = (text: string) => `2026-01-01 00:00:00 UTC [7] ${text}`
  const reason = (...lines: readonly string[]) => startFailure(`${lines.join('\n')}\n`, '/data')
  t.equal(
    reason(at('LOG:  starting'), at('FATAL:  no'), '\tDETAIL:  it is broken', at('LOG:  shut down')),
    'PostgreSQL did not start: FATAL:  no; DETAIL:  it is broken',
  )
  t.equal(
    reason(at('FATAL:  first'), at('PANIC:  last')),
    'PostgreSQL did not start: PANIC:  last',
    'the last one counts',
  )
  t.equal(reason('cannot load a library', 'libc is too old'), 'PostgreSQL did not start: libc is too old')
  t.equal(
    reason(at('FATAL:  lock file exists'), 'HINT: Is another postmaster (PID 12) running?'),
    'PostgreSQL with pid 12 already runs on the data in /data: stop it first',
  )
})
