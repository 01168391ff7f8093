import { createHash } from 'node:crypto'
import { compactText } from '../../json/json-source.js'

/** What one sidecar says it would serve. */
export type ReadOutcome =
  /** This value, as fresh. */
  | { readonly kind: 'value'; readonly digest: Digest }
  /** That there is no such entry, as fresh. */
  | { readonly kind: 'absent' }
  /** There is nothing in its memory. */
  | { readonly kind: 'nothing' }
  /** Something that it marks stale itself: it claims nothing. */
  | { readonly kind: 'stale' }
  /** No usable answer. */
  | { readonly kind: 'none'; readonly reason: string }

/** An answer, from whom, and when it was asked for (monotonic, in ms): what it says was decided later than that. */
export interface Asked {
  readonly sidecar: string
  readonly sentMs: number
  readonly answer: ReadOutcome
}

/** Stands for a value in comparisons; values themselves may be large, and nobody else's business. */
export type Digest = string

/** Returns the digest of the JSON text of a value. Space makes no difference; each digit of a number does. */
export function digestOf(text: string): Digest {
  return createHash('sha256').update(compactText(text)).digest('base64')
}
