import { parseArgs } from 'node:util'
import { faultsOf, isFlat, tableOf } from './report.js'
import { torture } from './run.js'

/** `npm run torture`: asks a sidecar for more memory than there is, in every known way at once. */

const usage = `usage: npm run torture -- [--minutes N] [--heap-mebibytes N] [--limit-mebibytes N]

  --minutes          how long (10)
  --heap-mebibytes   --max-old-space-size of the sidecar (192)
  --limit-mebibytes  limit of its cgroup, and most that its resident size may come to (320)
`

/** Shortest run, in minutes, that can show if the resident size is flat. */
const leastMinutesForFlat = 3

interface Arguments {
  readonly minutes: number
  readonly heapMebibytes: number
  readonly limitMebibytes: number
}

/** Returns undefined for wrong use. */
function argumentsOf(args: readonly string[]): Arguments | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string', default: '10' },
        'heap-mebibytes': { type: 'string', default: '192' },
        'limit-mebibytes': { type: 'string', default: '320' },
      },
    })
    const parsed = {
      minutes: Number(values.minutes),
      heapMebibytes: Number(values['heap-mebibytes']),
      limitMebibytes: Number(values['limit-mebibytes']),
    }
    return Object.values(parsed).every((value) => value > 0 && value < 100_000) ? parsed : undefined
  } catch {
    return undefined
  }
}

/** Returns the exit code: 0 if nothing happened that should not, 1 otherwise, 2 for wrong use. */
async function main(args: readonly string[]): Promise<number> {
  const asked = argumentsOf(args)
  if (asked === undefined) {
    process.stderr.write(usage)
    return 2
  }
  const { minutes, heapMebibytes, limitMebibytes } = asked
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
  const result = await torture({
    durationMs: minutes * 60_000,
    heapMebibytes,
    limitMebibytes,
    stop: stop.signal,
    onProgress: (line) => process.stderr.write(`${line}\n`),
  })
  const faults = faultsOf(result, limitMebibytes)
  if (minutes >= leastMinutesForFlat && !stop.signal.aborted && !isFlat(result))
    faults.push('the resident size was not flat at the end')
  process.stdout.write(`${tableOf(result)}\n${faults.map((fault) => `FAULT: ${fault}\n`).join('')}`)
  return faults.length > 0 ? 1 : 0
}

process.exitCode = await main(process.argv.slice(2))
