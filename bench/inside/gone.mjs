import { Cache } from '../../dist/core/cache.js'
import { monotonicMs } from './monotonic.mjs'

/** Loaded into a sidecar: says of every change when its entry was no longer served, the moment it was dropped. */
const { changed } = Cache.prototype
Cache.prototype.changed = function (change) {
  const result = changed.call(this, change)
  if (change.kind === 'key' && this.hit(change.id) === undefined) process.send([change.id, monotonicMs()])
  return result
}
