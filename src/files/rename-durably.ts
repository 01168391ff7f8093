import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** From now on the file is there under this name, also after a loss of power. What is in it has been synced before. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to)
  const folder = await open(dirname(to))
  await folder.sync().finally(() => folder.close())
}
