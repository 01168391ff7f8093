import type { Log } from '../../core/ports.js'

/** Logs the warnings of Node and of libraries, which Node would print to stderr as plain text. */
export function logNodeWarnings(log: Log): void {
  process.removeAllListeners('warning')
  process.on('warning', ({ name, message }) =>
    log.warn({ warning: name, reason: message }, 'warning of Node.js'),
  )
}
