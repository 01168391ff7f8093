import { readFileSync } from 'node:fs'

/** For the database, files, the log and Node itself. */
const reservedFiles = 64

/** How many connections each listener may have. */
export interface ConnectionShares {
  readonly data: number
  readonly ops: number
}

/**
 * Returns how many connections fit in the limit on open files. Beyond it the kernel accepts no connection at all, probes
 * included, and Node does not report that. So the data listener leaves a part to the operations listener.
 */
export function connectionShares(wanted: ConnectionShares, openFilesLimit: number): ConnectionShares {
  const available = Math.max(2, openFilesLimit - reservedFiles)
  const ops = Math.min(wanted.ops, Math.max(1, Math.floor(available / 8)))
  return { data: Math.min(wanted.data, Math.max(1, available - ops)), ops }
}

/** The limit of this process; `Infinity` where the system does not tell. */
export function openFilesLimit(): number {
  try {
    const limit = /^Max open files +(\d+) /m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
