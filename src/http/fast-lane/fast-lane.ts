import type { RequestListener } from 'node:http'
import { type PlainEntriesOptions, plainEntries } from './plain-entries.js'
import { type PlainReadsOptions, plainReads } from './plain-reads.js'
import { type PlainSetsOptions, plainSets } from './plain-sets.js'

export interface FastLaneOptions extends PlainReadsOptions, PlainEntriesOptions, PlainSetsOptions {
  /** Answers all other requests. It would answer plain reads and sets in the same way. */
  readonly otherwise: RequestListener
}

/** Answers plain reads, plain sets and hits of `/v1/entries/{key}` in front of Koa. */
export function fastLane(options: FastLaneOptions): RequestListener {
  const { otherwise } = options
  const takesRead = plainReads(options)
  const takesEntry = plainEntries(options)
  const takesSet = plainSets(options)
  return (request, response) => {
    // If a request had to wait for its turn, its body may have arrived already. The lanes must see a body from its
    // first byte.
    const hasWaited = request.complete || request.readableLength > 0
    const isTaken =
      !hasWaited &&
      (takesRead(request, response) || takesSet(request, response) || takesEntry(request, response))
    if (isTaken) return
    otherwise(request, response)
  }
}
