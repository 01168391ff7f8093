import { readFileSync } from 'node:fs'

/** Number of file descriptors reserved for the database, files, the log and Node itself. */
const reservedFiles = 64

/** Maximum number of connections of each listener. */
export interface ConnectionShares {
  readonly data: number
  readonly ops: number
}

/**
 * Returns how many connections fit into the limit on open files. Beyond that limit, no connection can be accepted at
 * all, not even a probe, and Node does not report it. So the data listener leaves a part to the operations listener.
 */
export function connectionShares(wanted: ConnectionShares, openFilesLimit: number): ConnectionShares {
  const available = openFilesLimit - reservedFiles
  const ops = Math.min(wanted.ops, Math.max(1, Math.floor(available / 8)))
  return { data: Math.min(wanted.data, Math.max(1, available - ops)), ops }
}

/** Returns the limit on open files of this process; `Infinity` if the system does not tell. */
export function openFilesLimit(): number {
  try {
    const limit = /^Max open files +(\d+) /m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit)
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
