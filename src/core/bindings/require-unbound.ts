import { CacheError } from '../errors.js'
import type { Bindings } from './bindings.js'

/** Throws a CacheError with the code `bound-key` if a binding covers the key: its rows are changed in their tables. */
export function requireUnbound(bindings: Pick<Bindings, 'of'>, key: string): void {
  const binding = bindings.of(key)
  if (binding === undefined) return
  const { text } = binding.pattern
  throw new CacheError('bound-key', `${text} binds the key`, {
    explanation: `The key is bound to rows of tables by ${text}: change these instead`,
    key,
  })
}
