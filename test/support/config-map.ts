import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface ConfigMap {
  /** Path of the file, as a pod sees it. */
  readonly path: string
  /** Another content, as the kubelet brings it: a new folder, and `..data` points to it from one moment to the next. */
  readonly swap: (text: string) => Promise<void>
}

/**
 * A ConfigMap of one file, mounted into `folder`: https://github.com/kubernetes/kubernetes,
 * pkg/volume/util/atomic_writer.go
 */
export async function configMap(folder: string, name: string, text: string): Promise<ConfigMap> {
  let current: string | undefined
  let count = 0
  const swap = async (next: string) => {
    const before = current
    current = `..2026_11_25_${++count}`
    await mkdir(join(folder, current))
    await writeFile(join(folder, current, name), next)
    await symlink(current, join(folder, '..data_tmp'))
    await rename(join(folder, '..data_tmp'), join(folder, '..data'))
    if (before) await rm(join(folder, before), { recursive: true })
  }
  await swap(text)
  await symlink(join('..data', name), join(folder, name))
  return { path: join(folder, name), swap }
}
