import type { Histogram } from '../../core/histogram.js'

export type Labels = Readonly<Record<string, string>>

export interface Sample<Value> {
  readonly labels?: Labels
  readonly value: Value
}

interface Described {
  /** Name with its unit, following Prometheus' conventions. */
  readonly name: string
  readonly help: string
  /** Names of the labels that every sample has. */
  readonly labels?: readonly string[]
}

/** A metric that nobody writes to: `read` returns the values, which are counted anyway, when they are needed. */
export type Metric =
  | (Described & { readonly type: 'counter' | 'gauge'; readonly read: () => readonly Sample<number>[] })
  | (Described & { readonly type: 'histogram'; readonly read: () => readonly Sample<Histogram>[] })

/** Returns one sample, or none if the value is unknown. */
export function single(value: number | undefined): readonly Sample<number>[] {
  return value === undefined ? [] : [{ value }]
}

export function byLabel<Value>(
  name: string,
  values: Readonly<Record<string, Value>>,
): readonly Sample<Value>[] {
  return Object.entries(values).map(([label, value]) => ({ labels: { [name]: label }, value }))
}

/** Returns one sample for each choice: 1 for the chosen one, 0 for the others. */
export function stateSamples(
  name: string,
  choices: readonly string[],
  chosen: string,
): readonly Sample<number>[] {
  return choices.map((choice) => ({ labels: { [name]: choice }, value: choice === chosen ? 1 : 0 }))
}
