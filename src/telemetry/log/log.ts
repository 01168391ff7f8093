import pino, { type DestinationStream, type Logger } from 'pino'
import type { LogLevel } from '../../config/settings/process-settings.js'
import { LossyDestination, stderrSink } from './stderr-destination.js'
import { terminalLine } from './terminal-line.js'

/**
 * Creates a log that writes JSON lines to stderr, or lines for people if stderr is a terminal. stdout is for data.
 *
 * Passwords, tokens and values must never be in the log. Callers do not log them; redaction here covers what comes from
 * elsewhere: the message of an error may quote a connection URL, and its other members may contain anything (`detail`
 * of a database error names the row), as may those of its cause.
 */
export function createLog(level: LogLevel, destination: DestinationStream = stderrDestination()): Logger {
  return pino(
    {
      level,
      base: { service },
      redact: { paths: secretMembers.flatMap((name) => [name, `*.${name}`]), censor: '***' },
      serializers: { err: errorFields },
      formatters: { log: withoutCredentials },
    },
    destination,
  )
}

function stderrDestination(): DestinationStream {
  const { isTTY } = process.stderr
  const hasColors = isTTY && process.stderr.hasColors() && !process.env.NO_COLOR
  const shown = (line: string) => (isTTY ? terminalLine(line, { hasColors }) : line)
  const lines = new LossyDestination(stderrSink(), (dropped) =>
    shown(
      `${JSON.stringify({
        level: 40,
        time: Date.now(),
        service,
        dropped,
        msg: 'log lines were dropped: stderr did not accept them',
      })}\n`,
    ),
  )
  return { write: (line) => lines.write(shown(line)) }
}

const service = 'caching-layer'

const secretMembers = ['password', 'authorization', 'token', 'value']

interface ErrorFields {
  readonly type: string
  readonly message: string
  readonly code?: string
  readonly stack: string | undefined
}

function errorFields(error: unknown): ErrorFields | string {
  if (!(error instanceof Error)) return scrubbed(String(error))
  const { code } = error as { code?: unknown }
  return {
    type: error.constructor.name,
    message: scrubbed(error.message),
    ...(typeof code === 'string' && { code }),
    stack: error.stack === undefined ? undefined : scrubbed(error.stack),
  }
}

function withoutCredentials(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [
      name,
      typeof field === 'string' ? scrubbed(field) : field,
    ]),
  )
}

/**
 * Returns the text without secrets in URLs: a URL keeps its user, but loses the password and the query, which may
 * contain a password as well.
 */
function scrubbed(text: string): string {
  return text.replace(
    /((?<![a-z0-9+.-])[a-z0-9+.-]+:\/\/)(?:([^\s:/?#@]*)(?::[^\s/?#]*)?@)?([^\s?#"']*)(\?[^\s"']*)?/gi,
    (_all, scheme: string, user: string | undefined, rest: string, query: string | undefined) =>
      `${scheme}${user === undefined ? '' : `${user}@`}${rest}${query === undefined ? '' : '?***'}`,
  )
}
