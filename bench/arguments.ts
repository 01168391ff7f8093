import { parseArgs } from 'node:util'

export interface Arguments {
  readonly sections: readonly string[]
  readonly rounds: number
  readonly seconds: number
  readonly check: boolean
  readonly json: boolean
  readonly profile: boolean
}

/** Undefined for invalid arguments. Without a section, the usual ones are chosen. */
export function argumentsOf(
  args: readonly string[],
  names: readonly string[],
  usual: readonly string[] = names,
): Arguments | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '5' },
        check: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        profile: { type: 'boolean', default: false },
      },
    })
    const { check, json, profile } = values
    const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
    const isSensible =
      Number.isInteger(rounds) &&
      rounds >= 1 &&
      rounds <= 100 &&
      seconds >= 1 &&
      seconds <= 600 &&
      positionals.every((name) => names.includes(name))
    if (!isSensible) return undefined
    return { sections: positionals.length > 0 ? positionals : usual, rounds, seconds, check, json, profile }
  } catch {
    return undefined
  }
}
