import type { Comparison } from './comparison.js'
import { backup } from './comparisons/backup.js'
import { big } from './comparisons/big.js'
import { boundTables } from './comparisons/bindings.js'
import { bulk } from './comparisons/bulk.js'
import { coldStart } from './comparisons/cold-start.js'
import { commitToGone } from './comparisons/commit-to-gone.js'
import { drains } from './comparisons/drains.js'
import { fleet } from './comparisons/fleet.js'
import { frozen } from './comparisons/frozen.js'
import { hit } from './comparisons/hit.js'
import { latency } from './comparisons/latency.js'
import { manyKeys } from './comparisons/many-keys.js'
import { miss } from './comparisons/miss.js'
import { near } from './comparisons/near.js'
import { openedPages } from './comparisons/pages.js'
import { reset } from './comparisons/reset.js'
import { rest } from './comparisons/rest.js'
import { restart } from './comparisons/restart.js'
import { scaling } from './comparisons/scaling.js'
import { set } from './comparisons/set.js'
import { storm } from './comparisons/storm.js'
import { triggers } from './comparisons/triggers.js'
import { warmUp } from './comparisons/warm-up.js'

/** Comparisons in the order of the table. */
export const comparisons: readonly Comparison[] = [
  hit,
  bulk,
  near,
  latency,
  set,
  miss,
  boundTables,
  commitToGone,
  fleet,
  coldStart,
  big,
  manyKeys,
  reset,
  storm,
  triggers,
  backup,
  warmUp,
  scaling,
  rest,
  openedPages,
  drains,
  restart,
  frozen,
]
