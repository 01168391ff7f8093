import pino, { type Logger } from 'pino'
import type { LogLevel } from './config/settings.js'

/** JSON lines on stderr; stdout is for data. */
export function createLog(level: LogLevel): Logger {
  return pino({ level, base: { service: 'caching-layer' } }, pino.destination({ dest: 2, sync: true }))
}
