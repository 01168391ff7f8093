import { execFile } from 'node:child_process'
import { copyFile, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { CannotRun } from '../check-list.js'

/** Copies the shared libraries that a program needs from this machine to the same paths below `root`. */
export async function copyLibraries(program: string, root: string): Promise<void> {
  // Instead of running the program, the loader lists its libraries.
  const { stdout } = await promisify(execFile)(program, [], {
    env: { LD_TRACE_LOADED_OBJECTS: '1' },
  })
  const missing = /^\s*(\S+) => not found$/m.exec(stdout)?.[1]
  if (missing) throw new CannotRun(`${missing} is not on this machine`)
  const paths = [...stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(/gm)].map(([, path = '']) => path)
  // Those that lie beside the program come with it.
  for (const path of paths.filter((path) => /^\/(usr\/)?lib/.test(path))) {
    await mkdir(join(root, dirname(path)), { recursive: true })
    await copyFile(path, join(root, path))
  }
}
