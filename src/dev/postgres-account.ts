import { execFileSync, spawnSync } from 'node:child_process'

/** A system user, by number, that PostgreSQL runs as if this process runs as root. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/**
 * Returns the system user `postgres`, which is created if missing, if this process runs as root, because PostgreSQL
 * refuses to run as root. Returns undefined for any other user: the server then runs as that user.
 */
export function postgresAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined
  const account = find() ?? create()
  canEnter('/', account) // fails early in a container that maps no other user
  return account
}

/** Returns true if the account can enter a folder. It tries, because mode bits say nothing about ACLs and mounts. */
export function canEnter(folder: string, account: Account): boolean {
  const tried = spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...account, cwd: '/' })
  if (tried.error) throw new Error(`cannot run a program as the user postgres: ${tried.error.message}`)
  return tried.status === 0
}

function find(): Account | undefined {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { stdio: 'pipe' }))
  try {
    return { uid: id('-u'), gid: id('-g') }
  } catch {
    return undefined
  }
}

function create(): Account {
  let trouble = ''
  const run = (program: string, ...args: string[]) => {
    const done = spawnSync(program, args, { encoding: 'utf8' })
    if (done.error ?? done.status)
      trouble ||= done.error?.message ?? done.stderr.trim().replaceAll('\n', '; ')
  }
  run('groupadd', '--system', '--force', 'postgres')
  run('useradd', '--system', '--gid', 'postgres', '--no-create-home', '--shell', '/bin/false', 'postgres')
  const account = find() // the exit code may be wrong: another process may have created it meanwhile
  if (account) return account
  throw new Error(`PostgreSQL refuses to run as root and the user postgres cannot be created: ${trouble}`)
}
