import {
  chmod,
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readlink,
  realpath,
  rmdir,
  stat,
  symlink,
} from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type Account, canEnter } from './postgres-account.js'

/**
 * Creates the data folder of the server and returns its real path.
 *
 * The account cannot reach a folder below a home that only root may enter. In that case the data is kept in a new
 * folder in `sparePlace`, and the wanted folder becomes a symlink to it, so that the next start finds it. To start
 * afresh, remove the link. Throws an Error of one line.
 */
export async function postgresFolder(
  wanted: string,
  account?: Account,
  sparePlace = '/var/tmp',
): Promise<string> {
  const link = await readlink(wanted).catch(() => undefined)
  const folder = link === undefined ? wanted : resolve(dirname(wanted), link)
  await create(folder)
  await take(folder, account)
  if (!account || canEnter(folder, account)) return realpath(folder)

  try {
    await rmdir(wanted)
  } catch (cause) {
    const way = 'open the folders above it to that user, or move it away'
    throw new Error(`the user postgres cannot reach the data in ${wanted}: ${way}`, { cause })
  }
  const spare = await mkdtemp(join(sparePlace, 'caching-layer-postgres-'))
  await take(spare, account)
  await symlink(spare, wanted)
  return realpath(spare)
}

/** Returns the cure for damaged data. */
export function freshStart(wanted: string): string {
  return `if the data is damaged, remove ${resolve(wanted)} to start afresh without it`
}

async function create(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
  } catch (cause) {
    const blocking = await existingPart(folder)
    const isFolder = (await stat(blocking).catch(() => undefined))?.isDirectory()
    const reason = isFolder
      ? (cause as Error).message
      : `${blocking} is not a folder; move it away or remove it`
    throw new Error(`the data folder ${folder} cannot be created: ${reason}`, { cause })
  }
}

/** Returns the longest part of the path at which there is anything. */
async function existingPart(path: string): Promise<string> {
  const exists = await lstat(path).catch(() => undefined)
  return exists ? path : existingPart(dirname(path))
}

/** Gives an empty folder of the current user to the account. Throws if the data belongs to another user. */
async function take(folder: string, account: Account | undefined): Promise<void> {
  const ourUid = process.getuid?.() ?? 0
  const wantedUid = account?.uid ?? ourUid
  const { uid } = await stat(folder)
  if (uid === ourUid && (await readdir(folder)).length === 0) {
    await chmod(folder, 0o700)
    if (account) await chown(folder, account.uid, account.gid)
  } else if (uid !== wantedUid) {
    const trouble = `belongs to uid ${uid} and not to uid ${wantedUid}, which PostgreSQL runs as`
    throw new Error(`the data folder ${folder} ${trouble}: remove it, or name another`)
  }
}
