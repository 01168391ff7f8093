import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { canEnter, postgresAccount } from '../../../src/dev/postgres-account.js'

const skip = process.getuid?.() !== 0 && 'needs root'
const groupadd = 'groupadd --system --force postgres'
const useradd = 'useradd --system --gid postgres --no-create-home --shell /bin/false postgres'

/** Puts programs of these texts in the place of those of the system. Returns the commands that were run. */
async function withPrograms(t: Test, programs: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'postgres-account-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const run = join(folder, 'run')
  for (const [name, script] of Object.entries(programs)) {
    const noted = name === 'id' ? '' : `echo "${name} $*" >> '${run}'\n`
    await writeFile(join(folder, name), `#!/bin/sh\n${noted}${script.replaceAll('MADE', `${folder}/made`)}\n`)
    await chmod(join(folder, name), 0o755)
  }
  const { PATH } = process.env
  process.env.PATH = folder
  t.teardown(() => {
    process.env.PATH = PATH
  })
  return async () => (await readFile(run, 'utf8').catch(() => '')).trim().split('\n')
}

const id = '[ -e MADE ] || exit 1\n[ "$1 $2" = "-u postgres" ] && echo 70 || echo 71'

t.test('the user postgres is used if there is one', { skip }, async (t) => {
  const ran = await withPrograms(t, {
    id: '[ "$1" = "-u" ] && echo 70 || echo 71',
    groupadd: '',
    useradd: '',
  })
  t.strictSame(postgresAccount(), { uid: 70, gid: 71 })
  t.strictSame(await ran(), [''], 'nothing is created')
})

t.test('the user postgres is created if there is none', { skip }, async (t) => {
  const ran = await withPrograms(t, { id, groupadd: '', useradd: ': > MADE' })
  t.strictSame(postgresAccount(), { uid: 70, gid: 71 })
  t.strictSame(await ran(), [groupadd, useradd])
})

t.test('a user that another process has created meanwhile is used', { skip }, async (t) => {
  await withPrograms(t, { id, groupadd: '', useradd: ': > MADE; exit 9' })
  t.strictSame(postgresAccount(), { uid: 70, gid: 71 })
})

t.test('the first trouble with creating the user is told', { skip }, async (t) => {
  const failing = 'PostgreSQL refuses to run as root and the user postgres cannot be created: '
  await withPrograms(t, {
    id,
    groupadd: 'echo one >&2; echo two >&2; exit 10',
    useradd: 'echo three >&2; exit 1',
  })
  t.throws(postgresAccount, { message: `${failing}one; two` })
  await withPrograms(t, { id, groupadd: 'echo no trouble >&2', useradd: 'echo read-only >&2; exit 1' })
  t.throws(postgresAccount, { message: `${failing}read-only` })
  await withPrograms(t, { id })
  t.throws(postgresAccount, { message: new RegExp(`^${failing}.*ENOENT`) })
})

t.test('what a user can enter is tried', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'postgres-account-test-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  await mkdir(join(folder, 'closed'), { mode: 0o700 })
  const account = { uid: 65_534, gid: 65_534 }
  t.equal(canEnter(folder, account), true)
  t.equal(canEnter(join(folder, 'closed'), account), false)
})
