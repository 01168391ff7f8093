import { hash } from 'node:crypto'
import type { Written } from '../entry.js'

/** Which write of a key a client has seen acknowledged (P11). */
export interface SessionToken {
  readonly keyHash: string
  /** Undefined for a write that left no version: a delete of what was not there. */
  readonly written: Written | undefined
}

const form = /^([A-Za-z0-9_-]{12})(?:\.(-?\d{1,19})\.(\d{1,20}-[0-9A-F]{8}))?$/

/** `hash.version.epoch`, fit for a header and a URL: 12 characters of the hash of the key's id, then what was written. */
export function formatToken(id: string, written: Written | undefined): string {
  return written === undefined ? hashOf(id) : `${hashOf(id)}.${written.version}.${written.epoch}`
}

/** Undefined for what is no token. */
export function parseToken(text: string): SessionToken | undefined {
  const match = form.exec(text)
  if (match === null) return undefined
  const [, keyHash = '', version, epoch] = match
  return { keyHash, written: version === undefined || epoch === undefined ? undefined : { version, epoch } }
}

/** Is it a write of this key that the token came from? */
export function concerns(token: SessionToken, id: string): boolean {
  return token.keyHash === hashOf(id)
}

function hashOf(id: string): string {
  return hash('sha256', id, 'base64url').slice(0, 12)
}
