import { shortKey, shortValue } from '../entry-value.js'
import type { ReadAnswer } from '../fleet/sidecar-client.js'

export interface FinalRead {
  readonly key: string
  /** Name of the sidecar, or of the near cache. */
  readonly reader: string
  readonly answer: ReadAnswer
}

/** A sidecar, or a near cache. */
export interface FinalReader {
  readonly name: string
  readonly get: (key: string) => Promise<ReadAnswer>
}

/** After the last fault every sidecar and every near cache answers a default read with what the primary holds, and as fresh. */
export function checkConvergence(
  reads: readonly FinalRead[],
  stored: ReadonlyMap<string, string>,
): readonly string[] {
  return reads.flatMap(({ key, reader, answer }) => {
    const where = `${shortKey(key)} at ${reader}`
    if (answer.kind !== 'entry') return [`${where}: no answer (${answer.kind})`]
    const primary = stored.get(key) ?? null
    if (answer.value !== primary)
      return [
        `${where}: ${shortValue(answer.value)} (${answer.status}), the primary has ${shortValue(primary)}`,
      ]
    return answer.stale ? [`${where}: still marked stale (${answer.status})`] : []
  })
}
