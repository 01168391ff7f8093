import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = '/sys/fs/cgroup'

/** A cgroup with a limit on memory, as a container has one. */
export class MemoryCgroup {
  /** A process joins the cgroup by writing its id into this file. */
  readonly procsFile: string
  readonly #path: string

  private constructor(path: string) {
    this.#path = path
    this.procsFile = join(path, 'cgroup.procs')
  }

  /** Returns the reason, as a text, if the cgroup cannot be made. */
  static make(limitBytes: number): MemoryCgroup | string {
    try {
      const { parent, limitFile } = ownCgroup(readFileSync('/proc/self/cgroup', 'utf8'))
      const path = join(parent, `caching-layer-torture-${process.pid}`)
      mkdirSync(path)
      const cgroup = new MemoryCgroup(path)
      try {
        writeFileSync(join(path, limitFile), String(limitBytes))
      } catch (error) {
        cgroup.remove()
        throw error
      }
      return cgroup
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  /** Largest memory that the kernel has charged to it; undefined where the kernel does not tell. */
  peakBytes(): number | undefined {
    for (const name of ['memory.peak', 'memory.max_usage_in_bytes']) {
      const path = join(this.#path, name)
      if (existsSync(path)) return Number(readFileSync(path, 'utf8'))
    }
    return undefined
  }

  /** Removes the group. Call it after its processes have ended. */
  remove(): void {
    rmdirSync(this.#path)
  }
}

/**
 * Finds the group of memory: version 1 has a separate hierarchy, on a line with its name. Version 2 has one for all.
 */
function ownCgroup(lines: string): { parent: string; limitFile: string } {
  const v1 = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(lines)?.[1]
  if (v1 !== undefined) return { parent: join(root, 'memory', v1), limitFile: 'memory.limit_in_bytes' }
  const v2 = /^0::(.*)$/m.exec(lines)?.[1]
  if (v2 !== undefined) return { parent: join(root, v2), limitFile: 'memory.max' }
  throw new Error('no cgroup for memory')
}
