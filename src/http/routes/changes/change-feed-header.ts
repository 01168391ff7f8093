import type { Context } from 'koa'
import type { Cache } from '../../../core/cache.js'
import type { ReadResult } from '../../../core/reads/read-result.js'
import type { ChangeStreams } from './change-streams.js'

export interface ChangeFeedOptions {
  readonly cache: Cache
  readonly changeStreams: ChangeStreams
}

/**
 * Sets the header that names the feed whose changes the answers can be kept by, if the request asks for it, and if all
 * of them can be kept (P19). A client that follows the feed of another process, or an earlier generation of this one,
 * must not keep them:
 *
 *   1. The client follows sidecar A. A change of `k` reaches A, and the client drops `k`.
 *   2. It reads `k` again. A balancer sends the request to sidecar B, which the change has not reached. B has the old
 *      value.
 *   3. The client would keep the old value. A will not announce the change a second time.
 */
export function setChangeFeed(
  ctx: Context,
  keys: readonly string[],
  reads: readonly ReadResult[],
  { cache, changeStreams }: ChangeFeedOptions,
): void {
  if ((ctx.headers['change-feed'] ?? '?0') === '?0') return
  const origins = keys.map((key, index) => cache.following.originOf(key, reads[index] as ReadResult))
  if (origins.includes(undefined)) return
  const viaOutbox = origins.some((origin) => origin?.viaOutbox)
  ctx.set('Change-Feed', `${changeStreams.feed}${viaOutbox ? '; outbox' : ''}`)
}
