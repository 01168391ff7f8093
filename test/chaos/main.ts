import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { allKinds, type FaultKind } from './faults/schedule.js'
import { tableOf } from './report.js'
import { run } from './run.js'

/** `npm run chaos`: breaks everything around real sidecars and checks that they keep what they promise. */

const usage = `usage: npm run chaos -- [--seed N] [--minutes N] [--sidecars N] [--staleness MS] [--allowance MS]
                        [--fault KIND]... [--json] [--program FILE] [--client FILE]

  --seed       the schedule of faults; another one every time by default
  --minutes    how long there are faults (2)
  --sidecars   how many (3)
  --staleness  CACHE_MAX_STALENESS_MS (3000)
  --allowance  time in ms by which a recovery may be late on a busy machine, and a response by half of it (3000)
  --fault      only this one, and others that are named so; the table of a run has their names; none: no fault
  --json       the result as JSON on stdout
  --program    the command to test (dist/main.js)
  --client     the client to test, such as clients/node/dist/index.js; that of the sources by default
`

const defaultProgram = fileURLToPath(new URL('../../dist/main.js', import.meta.url))

interface Arguments {
  readonly seed: number
  readonly minutes: number
  readonly sidecars: number
  readonly maxStalenessMs: number
  readonly allowanceMs: number
  readonly faults: readonly FaultKind[]
  readonly program: string
  readonly client: string | undefined
  readonly json: boolean
}

/** Undefined for an invalid value. */
function argumentsOf(args: readonly string[]): Arguments | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
        minutes: { type: 'string', default: '2' },
        sidecars: { type: 'string', default: '3' },
        staleness: { type: 'string', default: '3000' },
        allowance: { type: 'string', default: '3000' },
        program: { type: 'string', default: defaultProgram },
        client: { type: 'string' },
        fault: { type: 'string', multiple: true, default: [...allKinds] },
        json: { type: 'boolean', default: false },
      },
    })
    const { program, client, json } = values
    const [seed, minutes, sidecars, maxStalenessMs, allowanceMs] = [
      Number(values.seed),
      Number(values.minutes),
      Number(values.sidecars),
      Number(values.staleness),
      Number(values.allowance),
    ]
    const faults = allKinds.filter((kind) => values.fault.includes(kind))
    const isNone = values.fault.length === 1 && values.fault[0] === 'none'
    const isSensible =
      Number.isInteger(seed) &&
      minutes > 0 &&
      minutes <= 24 * 60 &&
      Number.isInteger(sidecars) &&
      sidecars >= 1 &&
      sidecars <= 20 &&
      maxStalenessMs >= 100 &&
      allowanceMs >= 0 &&
      (isNone || faults.length === new Set(values.fault).size)
    return isSensible
      ? { seed, minutes, sidecars, maxStalenessMs, allowanceMs, faults, program, client, json }
      : undefined
  } catch {
    return undefined
  }
}

/** The exit code: 0 when every promise was kept, 1 when not, 2 for wrong use. */
async function main(args: readonly string[]): Promise<number> {
  const asked = argumentsOf(args)
  if (asked === undefined) {
    process.stderr.write(usage)
    return 2
  }
  const { seed, minutes, sidecars, maxStalenessMs, allowanceMs, json } = asked
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      process.stderr.write('\nending: faults are healed and what was seen is checked\n')
      stop.abort()
    })
  }
  let mishap: unknown
  process.on('uncaughtException', (error) => {
    mishap ??= error
    stop.abort()
  })
  const named = asked.faults.length === 0 ? ['none'] : asked.faults
  const some =
    asked.faults.length === allKinds.length ? '' : named.map((kind) => ` --fault '${kind}'`).join('')
  const replay = `npm run chaos -- --seed ${seed} --minutes ${minutes} --sidecars ${sidecars} --staleness ${maxStalenessMs} --allowance ${allowanceMs}${some}`
  process.stderr.write(`${replay}\n`)
  const result = await run({ ...asked, replay, stop: stop.signal })
  if (mishap !== undefined) throw mishap
  const text = json
    ? JSON.stringify({ ...result, faults: Object.fromEntries(result.faults) }, undefined, 2)
    : tableOf(result)
  await new Promise((written) => process.stdout.write(`${text}\n`, written))
  return Object.values(result.violationCounts).some((count) => count > 0) ? 1 : 0
}

let exitCode = 1
try {
  exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.stderr.write(`chaos: ${error instanceof Error ? error.stack : error}\n`)
}
// Everything is closed. Left to itself, Node can wait for ever for a socket that was reset while it was being shut
// down.
process.exit(exitCode)
