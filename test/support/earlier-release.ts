import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const releases = new URL('./releases/', import.meta.url)
/** Folder for releases. It is in the project, so that a release finds its packages. */
const cache = fileURLToPath(new URL('../../node_modules/.cache/caching-layer-releases/', import.meta.url))

/** Returns the folder of a release as it was published, with `dist/`, `sql/` and `package.json`. */
export async function earlierRelease(version: string): Promise<string> {
  const archive = fileURLToPath(new URL(`${version}.tgz`, releases))
  const digest = createHash('sha256')
    .update(await readFile(archive))
    .digest('hex')
    .slice(0, 12)
  const folder = join(cache, `${version}-${digest}`)
  if (existsSync(folder)) return folder
  await mkdir(cache, { recursive: true })
  const draft = await mkdtemp(join(cache, 'new-'))
  try {
    await promisify(execFile)('tar', ['-xzf', archive, '-C', draft, '--strip-components=1'])
    await rename(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    // Another test file was quicker.
    if (!existsSync(folder)) throw error
  }
  return folder
}
