import type { Log } from '../../src/core/ports.js'

export interface Logged {
  readonly level: 'info' | 'warn'
  readonly fields: object
  readonly message: string
}

/** Returns a log, and the list of the lines that are logged. */
export function recordingLog(): { readonly log: Log; readonly logged: Logged[] } {
  const logged: Logged[] = []
  const log: Log = {
    info: (fields, message) => logged.push({ level: 'info', fields, message }),
    warn: (fields, message) => logged.push({ level: 'warn', fields, message }),
  }
  return { log, logged }
}
