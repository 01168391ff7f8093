import { parseConnectionUrl } from '../connection-url/connection-url.js'
import { separateUrls } from '../connection-url/separate-urls.js'

/**
 * Parsers of the settings. Each throws an Error that says what is expected; the caller puts the setting's name before
 * it.
 */

export function anyText(text: string): string {
  return text
}

/** Parses a host name or an IP address. An IPv6 address may be in brackets, and localhost in any spelling. */
export function address(text: string): string {
  if (/^localhost\.?$/i.test(text)) return 'localhost'
  return /^\[.*\]$/.test(text) ? text.slice(1, -1) : text
}

export function integer(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
    if (!(number >= least && number <= most)) {
      throw new Error(`must be a whole number from ${least} to ${most}, not "${text}"`)
    }
    return number
  }
}

export function onOrOff(text: string): boolean {
  return oneOf('on', 'off')(text) === 'on'
}

export function seconds(text: string): number {
  const number = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (!(number <= 1_000_000_000)) {
    throw new Error(`must be a number of seconds, 0 or more, not "${text}" (0: no local expiry)`)
  }
  return number
}

export function fraction(text: string): number {
  const number = /^(\d+(\.\d+)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN
  if (!(number <= 1)) throw new Error(`must be a number from 0 to 1, not "${text}"`)
  return number
}

export interface PrefixSeconds {
  readonly prefix: string
  readonly seconds: number
}

/** Parses rules like `user:=30,static:=0`. A prefix may contain any character but a comma. */
export function secondsByPrefix(text: string): readonly PrefixSeconds[] {
  const rules = new Map<string, number>()
  for (const rule of text.split(',')) {
    const equals = rule.lastIndexOf('=')
    const prefix = rule.slice(0, Math.max(0, equals)).trimStart()
    const after = rule.slice(equals + 1).trim()
    if (prefix === '') throw new Error(`must be rules like user:=30,static:=0, not "${rule}"`)
    if (rules.has(prefix)) throw new Error(`has two rules for "${prefix}"`)
    rules.set(prefix, seconds(after))
  }
  return [...rules].map(([prefix, after]) => ({ prefix, seconds: after }))
}

export function oneOf<const T extends string>(...choices: readonly T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((one) => one === text)
    if (choice === undefined) throw new Error(`must be one of ${choices.join(', ')}, not "${text}"`)
    return choice
  }
}

/** Source of the keys to read before anybody asks for them. */
export type WarmSource =
  | { readonly kind: 'off' | 'hot' }
  | { readonly kind: 'recent'; readonly count: number }
  | { readonly kind: 'file'; readonly path: string }

/** Parses `off`, `recent:1000`, `hot` or `file:/etc/keys`. */
export function warmSource(text: string): WarmSource {
  if (text === 'off' || text === 'hot') return { kind: text }
  const [, kind, rest = ''] = /^(recent|file):(.+)$/.exec(text) ?? []
  if (kind === 'file') return { kind, path: rest }
  const isCount = kind === 'recent' && /^\d+$/.test(rest) && Number(rest) >= 1 && Number(rest) <= 100_000_000
  if (!isCount)
    throw new Error(`must be off, recent:N (N entries, 1 or more), hot or file:PATH, not "${text}"`)
  return { kind: 'recent', count: Number(rest) }
}

/** Checks a connection URL. Errors do not repeat the text, which may contain a password. */
export function postgresUrl(text: string): string {
  parseConnectionUrl(text)
  return text
}

/** Parses one or more URLs, separated by spaces or commas. A comma within a URL is not a separator. */
export function postgresUrls(text: string): readonly string[] {
  return separateUrls(text).map(postgresUrl)
}

/** Checks a token, which an Authorization header must be able to carry. Errors do not repeat the text. */
export function bearerToken(text: string): string {
  if (!/^[\x21-\x7e]+$/.test(text)) throw new Error('must be printable ASCII without spaces')
  return text
}

/** Parses host names without a port, separated by commas. A single `*` matches any name. */
export function hostNames(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim())
  for (const name of names) {
    if (name !== '*' && !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(name)) {
      throw new Error(`must be host names without a port, separated by commas, or *, not "${name}"`)
    }
  }
  return names
}

/** Checks the path of a Unix socket. The system's structure for it holds 108 bytes, including a zero at the end. */
export function socketPath(text: string): string {
  const bytes = Buffer.byteLength(text)
  if (!text.startsWith('/') || bytes > 107) {
    throw new Error(`must be an absolute path of at most 107 bytes, not "${text}"`)
  }
  return text
}
