import type { Comparison } from './comparison.js'
import { coldStart } from './comparisons/cold-start.js'
import { commitToGone } from './comparisons/commit-to-gone.js'
import { hit } from './comparisons/hit.js'
import { latency } from './comparisons/latency.js'
import { miss } from './comparisons/miss.js'
import { set } from './comparisons/set.js'

/** In the order of the table. */
export const comparisons: readonly Comparison[] = [hit, latency, set, miss, commitToGone, coldStart]
