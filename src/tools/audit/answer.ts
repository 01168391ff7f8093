import { createHash } from 'node:crypto'
import { compactText } from '../../json/json-source.js'

/** Answer of one sidecar to the question what it would serve. */
export type ReadOutcome =
  /** Serves this value as fresh. */
  | { readonly kind: 'value'; readonly digest: Digest }
  /** States, as fresh, that there is no such entry. */
  | { readonly kind: 'absent' }
  /** Has nothing in memory. */
  | { readonly kind: 'nothing' }
  /** Serves something that it marks stale itself, so it claims nothing. */
  | { readonly kind: 'stale' }
  /** Gave no usable answer. */
  | { readonly kind: 'none'; readonly reason: string }

/**
 * Answer of a sidecar, with the moment at which the question was sent (monotonic, in ms). The answer was decided later.
 */
export interface Asked {
  readonly sidecar: string
  readonly sentMs: number
  readonly answer: ReadOutcome
}

/** Hash that replaces a value in comparisons. Values may be large, and confidential. */
export type Digest = string

/**
 * Returns the digest of the JSON text of a value. White space makes no difference, but every digit of a number does.
 */
export function digestOf(text: string): Digest {
  return createHash('sha256').update(compactText(text)).digest('base64')
}
