import { UsageError } from './usage-error.js'

/** Returns the single key that a command is given. */
export function keyArgument(command: string, positionals: readonly string[]): string {
  const [key, ...more] = positionals
  if (key === undefined || more.length > 0) throw new UsageError(`${command}: name one key`)
  return key
}
