/** Parsed text in Prometheus' format: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export interface Exposed {
  /** Types by metric name. */
  readonly types: ReadonlyMap<string, string>
  readonly helps: ReadonlyMap<string, string>
  readonly samples: readonly ExposedSample[]
  /** The one sample with this name and these labels; undefined where there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined
}

export interface ExposedSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Parses the text. Throws an Error if a line is invalid. */
export function parseExposed(text: string): Exposed {
  const types = new Map<string, string>()
  const helps = new Map<string, string>()
  const samples: ExposedSample[] = []
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const [, kind, about, rest = ''] = /^# (TYPE|HELP) (\w+) (.*)$/.exec(line) ?? []
    const [, name, labels = '', value] = /^([a-z_:]\w*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (about !== undefined) (kind === 'TYPE' ? types : helps).set(about, rest)
    else if (name === undefined) throw new Error(`not in Prometheus' format: ${line}`)
    else samples.push({ name, labels: labelsIn(labels), value: numberIn(value as string) })
  }
  return {
    types,
    helps,
    samples,
    value: (name, labels = {}) =>
      samples.find(
        (sample) =>
          sample.name === name &&
          Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
      )?.value,
  }
}

function labelsIn(text: string): Record<string, string> {
  return Object.fromEntries(Array.from(text.matchAll(/(\w+)="([^"]*)"/g), ([, name, value]) => [name, value]))
}

function numberIn(text: string): number {
  const number = text === '+Inf' ? Number.POSITIVE_INFINITY : Number(text)
  if (Number.isNaN(number)) throw new Error(`no number: ${text}`)
  return number
}
