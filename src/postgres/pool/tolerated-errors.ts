import { type CacheErrorCode, passingErrors } from '../../core/errors.js'

/** Errors that work in the background does not report: they pass by themselves, or requests report them anyway. */
export const toleratedErrors: readonly CacheErrorCode[] = [
  ...passingErrors,
  'store-busy',
  'row-locked',
  'store-locked',
  'outcome-unknown',
]
