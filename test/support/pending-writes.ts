import { StoreHealth } from '../../src/core/batching/store-health.js'
import type { Base, PendingWrite, Written } from '../../src/core/entry.js'
import { Stats } from '../../src/core/stats.js'
import { Delivery } from '../../src/core/writes/delivery.js'
import { PendingWrites } from '../../src/core/writes/pending-writes.js'
import { DrivenClock } from './driven-clock.js'
import { ModelStore } from './model-store.js'
import { recordingLog } from './recording-log.js'

export const unseen: Base = { kind: 'unseen', mark: undefined }
export const epoch = '1-00000001'

/** Pending writes over a model of the database, and all that became of them. */
export function pendingWrites(capacity = 10, maxBytes = 1_000_000) {
  const clock = new DrivenClock()
  const store = new ModelStore(clock)
  const stats = new Stats()
  const { log, logged } = recordingLog()
  const settled: [id: string, written: Written | undefined][] = []
  const pending = new PendingWrites({ capacity, maxBytes })
  const delivery = new Delivery({
    pending,
    state: { written: (id, written) => settled.push([id, written]) },
    versions: {
      get fingerprint() {
        return store.now().fingerprint
      },
    },
    health: new StoreHealth(),
    clock,
    store,
    log,
    stats,
  })
  const keep = (key: string, value: string | undefined, more: Partial<PendingWrite> = {}) =>
    pending.keep(key, { key, value, base: unseen, epoch, mayHaveHappened: false, outcomes: [], ...more })
  return { clock, store, stats, logged, settled, pending, delivery, keep }
}
