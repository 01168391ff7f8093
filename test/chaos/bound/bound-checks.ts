import type { Fleet } from '../fleet/fleet.js'
import { checkConvergence, type FinalRead, type FinalReader } from '../oracle/convergence.js'
import type { Violations } from '../oracle/violations.js'
import { boundRows, rowAnswer, storedRows } from './bound-tables.js'
import type { BoundWorkload } from './bound-workload.js'

/** Compares what every reader gets for bound keys with the tables. Returns the number of reads. */
export async function boundChecks(
  fleet: Pick<Fleet, 'administer'>,
  readers: readonly FinalReader[],
  { recorder }: BoundWorkload,
  violations: Violations,
): Promise<number> {
  const stored = await storedRows(fleet)
  for (const { key } of boundRows) {
    const read = recorder.beginRead({ kind: 'sql', key, by: 'end', via: 'sql' })
    const value = stored.get(key) ?? null
    recorder.endRead(read, { kind: 'entry', value, source: 'db', stale: false, status: '' }, false)
  }
  const reads: FinalRead[] = []
  for (const { name, get } of readers)
    for (const { key } of boundRows) reads.push({ key, reader: name, answer: rowAnswer(key, await get(key)) })
  for (const text of checkConvergence(reads, stored))
    violations.add({ promise: 'convergence', text, around: [] })
  return reads.length
}
