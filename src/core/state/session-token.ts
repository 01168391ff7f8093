import { hash } from 'node:crypto'
import type { Written } from '../entry.js'

/** The write of a key that a client has seen acknowledged (P11). */
export interface SessionToken {
  readonly keyHash: string
  /** The version and epoch of the write; undefined if it left no version: a delete of a key that did not exist. */
  readonly written: Written | undefined
}

const form = /^([A-Za-z0-9_-]{12})(?:\.(-?\d{1,19})\.(\d{1,20}-[0-9A-F]{8}))?$/

/**
 * Returns a token of the form `hash.version.epoch`, safe in a header and a URL. It begins with 12 characters of the
 * hash of the key's id; the rest is missing if the write left no version.
 */
export function formatToken(id: string, written: Written | undefined): string {
  return written === undefined ? hashOf(id) : `${hashOf(id)}.${written.version}.${written.epoch}`
}

/** Returns undefined if the text is not a token. */
export function parseToken(text: string): SessionToken | undefined {
  const match = form.exec(text)
  if (match === null) return undefined
  const [, keyHash = '', version, epoch] = match
  return { keyHash, written: version === undefined || epoch === undefined ? undefined : { version, epoch } }
}

/** Returns true if the token came from a write of this key. */
export function concerns(token: SessionToken, id: string): boolean {
  return token.keyHash === hashOf(id)
}

function hashOf(id: string): string {
  return hash('sha256', id, 'base64url').slice(0, 12)
}
