import type { ConditionalAnswer, ConditionalWrite } from '../ports.js'
import type { CacheState } from '../state/cache-state.js'
import type { Flight } from '../state/flights.js'
import { formatToken } from '../state/session-token.js'
import type { WrittenResult } from './write-result.js'

/**
 * Records that the store has made a write or delete, puts what it has left into memory if that is safe, and returns the
 * result for the client.
 */
export function acknowledge(
  state: CacheState,
  flight: Flight,
  { key, value, mediaType }: Pick<ConditionalWrite, 'key' | 'value' | 'mediaType'>,
  { epoch, before, written }: ConditionalAnswer,
): WrittenResult {
  state.acknowledged(flight, written)
  const isStored = value !== undefined && written?.isAsSent === true
  if (isStored) state.put(flight, { key, value, mediaType, isComparable: true, ...written })
  if (value === undefined && written?.isAsSent) state.putAbsence(flight, key, { epoch })
  return {
    kind: 'written',
    existed: before !== undefined,
    token: formatToken(flight.id, written),
    written: isStored ? written : undefined,
  }
}
