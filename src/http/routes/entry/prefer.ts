import type { Context } from 'koa'
import { RequestError } from '../problem.js'

/** Preferences of a read, from its Prefer headers (RFC 7240). */
export interface Preferences {
  /** Duration of the lease that the client wants to fill the entry; undefined if it does not want one. */
  readonly leaseMs: number | undefined
  /** Time to wait for a value, at most 60 s. */
  readonly waitMs: number
}

const leaseRange = { least: 1, most: 300 }
/** A client may be willing to wait for longer than the service is. That is no error (RFC 7240, section 2). */
const waitRange = { least: 0, most: 999_999_999 }
const longestWaitMs = 60_000

/** Returns the preferences of a request. Others than those named are ignored. Throws 422. */
export function preferences(ctx: Pick<Context, 'get'>): Preferences {
  const values = new Map<string, string>()
  for (const preference of split(ctx.get('Prefer'), ',')) {
    // Parameters follow a semicolon. There are none that matter here.
    const [text = ''] = split(preference, ';')
    const sign = text.indexOf('=')
    const name = (sign < 0 ? text : text.slice(0, sign)).trim().toLowerCase()
    // Only the first one of a name counts.
    if (!values.has(name)) values.set(name, sign < 0 ? '' : unquoted(text.slice(sign + 1).trim()))
  }
  return {
    leaseMs: milliseconds('fill-lease', values, leaseRange),
    waitMs: Math.min(milliseconds('wait', values, waitRange) ?? 0, longestWaitMs),
  }
}

/** Splits a text at each separator that is not within a quoted string. */
function split(text: string, separator: string): readonly string[] {
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (character === '"') isQuoted = !isQuoted
    else if (character === '\\' && isQuoted) index++
    else if (character === separator && !isQuoted) {
      parts.push(text.slice(start, index))
      start = index + 1
    }
  }
  return [...parts, text.slice(start)]
}

function unquoted(text: string): string {
  return text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text
}

function milliseconds(
  name: string,
  values: ReadonlyMap<string, string>,
  { least, most }: { readonly least: number; readonly most: number },
): number | undefined {
  const text = values.get(name)
  if (text === undefined) return undefined
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(seconds >= least && seconds <= most))
    throw new RequestError(422, `Prefer: ${name}: must be a number of seconds from ${least} to ${most}`)
  return seconds * 1_000
}
