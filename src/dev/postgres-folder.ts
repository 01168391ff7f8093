import {
  chmod,
  chown,
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
 * Makes the folder that the server keeps its data in, and answers with its real path.
 *
 * The account cannot reach a folder below a home that only root may enter. The data are then kept in a new
 * folder of the spare place, and the wanted folder becomes a symlink to it: the next start finds them, and who
 * removes the link starts afresh. Throws an Error of one line.
 */
export async function postgresFolder(
  wanted: string,
  account?: Account,
  sparePlace = '/var/tmp',
): Promise<string> {
  const link = await readlink(wanted).catch(() => undefined)
  const folder = link === undefined ? wanted : resolve(dirname(wanted), link)
  await mkdir(folder, { recursive: true })
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

/** An empty folder of ours becomes the account's. Data of somebody else are left alone. */
async function take(folder: string, account: Account | undefined): Promise<void> {
  const ourUid = process.getuid?.() ?? 0
  const wantedUid = account?.uid ?? ourUid
  const { uid } = await stat(folder)
  if (uid === wantedUid && uid !== ourUid) return
  if (uid === ourUid && (await readdir(folder)).length === 0) {
    await chmod(folder, 0o700)
    if (account) await chown(folder, account.uid, account.gid)
  } else if (uid !== wantedUid) {
    const trouble = `belongs to uid ${uid} and not to uid ${wantedUid}, which PostgreSQL runs as`
    throw new Error(`the data folder ${folder} ${trouble}: remove it, or name another`)
  }
}
