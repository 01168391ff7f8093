import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Podman } from '../podman/podman.js'

interface ImageConfig {
  readonly User?: string
  readonly Entrypoint?: readonly string[]
  readonly Labels?: Readonly<Record<string, string>>
}

/** Files that the image must not have, with what is wrong with them. */
const needless: readonly (readonly [RegExp, string])[] = [
  [/(^|\/)(sh|bash|dash|busybox)$/, 'a shell'],
  [/(^|\/)(npm|npx|yarn|corepack)$/, 'a package manager'],
  [/\.map$/, 'a source map'],
  [/(^|\/)\.npmrc$|npm-cache|_cacache/, 'a configuration or a cache of npm'],
]

/** Returns what is wrong with the files and the configuration of an image. */
export async function imageFaults(podman: Podman, image: string): Promise<string[]> {
  const config: ImageConfig = JSON.parse(
    await podman.output(['image', 'inspect', '--format', '{{json .Config}}', image]),
  )
  const faults: string[] = []
  if (!/^[1-9]\d*:[1-9]\d*$/.test(config.User ?? ''))
    faults.push(`the user is "${config.User}", not a number above 0`)
  const [program] = config.Entrypoint ?? []
  if (program !== 'node') faults.push(`process 1 is ${program}, not node`)
  if (config.Labels?.['org.opencontainers.image.licenses'] === undefined)
    faults.push('no label names the licence')
  const paths = await pathsOf(podman, image)
  for (const [pattern, what] of needless) {
    const found = paths.filter((path) => pattern.test(path))
    if (found.length > 0) faults.push(`${what}: ${found.length} files, such as ${found[0]}`)
  }
  return faults
}

/** Returns the paths of all files of an image. */
export async function pathsOf(podman: Podman, image: string): Promise<string[]> {
  const name = 'never-started'
  await podman.output(['create', '--name', name, image, 'nothing'])
  const archive = `${podman.folder}/files.tar`
  try {
    await podman.output(['export', '--output', archive, name])
    const { stdout } = await promisify(execFile)('tar', ['-tf', archive], { maxBuffer: 2 ** 26 })
    // Folders are no files.
    return stdout.split('\n').filter((path) => path !== '' && !path.endsWith('/'))
  } finally {
    await podman.remove(name)
  }
}
