import type { RequestListener } from 'node:http'
import { type PlainReadsOptions, plainReads } from './plain-reads.js'
import { type PlainSetsOptions, plainSets } from './plain-sets.js'

export interface FastLaneOptions extends PlainReadsOptions, PlainSetsOptions {
  /** Answers everything else, and would answer those alike. */
  readonly otherwise: RequestListener
}

/** Answers plain reads and plain sets in front of Koa. */
export function fastLane(options: FastLaneOptions): RequestListener {
  const { otherwise } = options
  const takesRead = plainReads(options)
  const takesSet = plainSets(options)
  return (request, response) => {
    // A request that waited for its turn has a body already, or none; the lanes take bodies from Node's parser.
    const hasWaited = request.complete || request.readableLength > 0
    if (!hasWaited && (takesRead(request, response) || takesSet(request, response))) return
    otherwise(request, response)
  }
}
