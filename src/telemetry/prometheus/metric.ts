import type { Histogram } from '../../core/histogram.js'

export type Labels = Readonly<Record<string, string>>

export interface Sample<Value> {
  readonly labels?: Labels
  readonly value: Value
}

interface Described {
  /** With its unit, as Prometheus wants names. */
  readonly name: string
  readonly help: string
  /** The labels that every sample has. */
  readonly labels?: readonly string[]
}

/** A metric that nobody writes: `read` looks, when it is asked for, at what is counted anyway. */
export type Metric =
  | (Described & { readonly type: 'counter' | 'gauge'; readonly read: () => readonly Sample<number>[] })
  | (Described & { readonly type: 'histogram'; readonly read: () => readonly Sample<Histogram>[] })

/** No sample at all of what is not known. */
export function single(value: number | undefined): readonly Sample<number>[] {
  return value === undefined ? [] : [{ value }]
}

export function byLabel<Value>(
  name: string,
  values: Readonly<Record<string, Value>>,
): readonly Sample<Value>[] {
  return Object.entries(values).map(([label, value]) => ({ labels: { [name]: label }, value }))
}

/** One sample for every choice: 1 for the one that holds, 0 for the others. */
export function oneOf(name: string, choices: readonly string[], chosen: string): readonly Sample<number>[] {
  return choices.map((choice) => ({ labels: { [name]: choice }, value: choice === chosen ? 1 : 0 }))
}
