/** Logs the warnings of Node and of libraries, which Node would print to stderr as plain text. */
export function logNodeWarnings(log: { warn(fields: object, message: string): void }): void {
  process.removeAllListeners('warning')
  process.on('warning', ({ name, message }) =>
    log.warn({ warning: name, reason: message }, 'warning of Node.js'),
  )
}
