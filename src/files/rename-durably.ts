import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Renames a file so that the new name survives a power loss. The caller must have synced the file's content. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to)
  const folder = await open(dirname(to))
  await folder.sync().finally(() => folder.close())
}
