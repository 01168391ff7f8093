import { UsageError } from './usage-error.js'

/** The option's value by a parser that throws an Error saying what the text must be. Throws UsageError. */
export function parseOption<T>(command: string, option: string, text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    throw new UsageError(`${command}: --${option} ${(error as Error).message}`)
  }
}
