import { inMebibytes, type TortureResult } from './run.js'

/** Growth of the peak, from the middle third to the last, that still counts as flat. */
const flatWithin = 1.1

/** Returns what should not have happened, one line each. */
export function faultsOf(result: TortureResult, limitMebibytes: number): string[] {
  const faults: string[] = []
  if (result.end !== undefined) faults.push(`the sidecar ended: ${result.end}`)
  const statuses = new Set([...result.loads.values()].flatMap(({ statuses }) => [...statuses.keys()]))
  for (const status of statuses) if (!isAllowed(status)) faults.push(`a request was answered with ${status}`)
  for (const status of Object.keys(result.smallHits.statuses))
    if (status !== '200' && status !== '503') faults.push(`a small hit was answered with ${status}`)
  if (!result.smallHits.statuses['200']) faults.push('no small hit was answered')
  if (result.peakBytes > limitMebibytes * 1024 * 1024)
    faults.push(`the resident size came to ${inMebibytes(result.peakBytes)}`)
  return faults
}

/** Returns false if the resident size still grew at the end. For runs that are long enough to tell. */
export function isFlat({ peaksByThird: [, middle, last] }: TortureResult): boolean {
  return last <= middle * flatWithin
}

function isAllowed(status: number): boolean {
  return (status >= 200 && status < 300) || (status >= 400 && status < 500) || status === 503
}

export function tableOf(result: TortureResult): string {
  const { smallHits, peaksByThird, peakBytes, withoutCgroup, cgroupPeakBytes, memory } = result
  const lines = [...result.loads].map(([name, { statuses, unanswered }]) => {
    const counts = [...statuses].sort(([one], [other]) => one - other)
    const shown = counts.map(([status, count]) => `${status}: ${count}`)
    if (unanswered > 0) shown.push(`unanswered: ${unanswered}`)
    return `${name.padEnd(44)}${shown.join(', ')}`
  })
  const hits = Object.entries(smallHits.statuses).map(([status, count]) => `${status}: ${count}`)
  const ms = (value: number) => `${value.toFixed(1)} ms`
  lines.push(
    `${'small hits'.padEnd(44)}${hits.join(', ')}; p50 ${ms(smallHits.p50Ms)}, p99 ${ms(smallHits.p99Ms)}, max ${ms(smallHits.maxMs)}`,
    `resident size: ${inMebibytes(peakBytes)} at most; by thirds of the run ${peaksByThird.map(inMebibytes).join(', ')}`,
    withoutCgroup === undefined
      ? `cgroup: ${cgroupPeakBytes === undefined ? 'its peak is not told' : `${inMebibytes(cgroupPeakBytes)} at most, the kernel's caches included`}`
      : `cgroup: none (${withoutCgroup})`,
    `memory at the end: ${JSON.stringify(memory)}`,
  )
  return lines.join('\n')
}
