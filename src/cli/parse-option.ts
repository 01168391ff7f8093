import { UsageError } from './usage-error.js'

/** Returns the parsed value of an option. The parser throws an Error that says what is expected. Throws UsageError. */
export function parseOption<T>(command: string, option: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    throw new UsageError(`${command}: --${option} ${(error as Error).message}`)
  }
}
