import type { Comparison } from './comparison.js'
import { hit } from './comparisons/hit.js'
import { miss } from './comparisons/miss.js'
import { set } from './comparisons/set.js'

/** In the order of the table. */
export const comparisons: readonly Comparison[] = [hit, set, miss]
