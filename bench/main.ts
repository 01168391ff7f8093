import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Contender } from './comparison.js'
import { comparisons } from './comparisons.js'
import { Lifetime } from './lifetime.js'
import { machineNow } from './machine.js'
import { BenchPostgres } from './postgres.js'
import { merged, readResults, type Section, writeResults } from './results.js'
import { measureRounds } from './rounds.js'
import { tableOf } from './table.js'
import { outcomeOf } from './verdict.js'

/** `npm run bench`: every comparison, side by side on the same cores. */

const usage = `usage: npm run bench -- [SECTION...] [--rounds N] [--seconds N] [--check] [--json]

${comparisons.map(({ name, about }) => `  ${name.padEnd(12)}${about}`).join('\n')}

  --rounds   how often each contender is measured (5)
  --seconds  how long each time (5)
  --check    exit code 1 where a target is missed
  --json     the results as JSON on stdout
`

const resultsPath = fileURLToPath(new URL('results.json', import.meta.url))

interface Arguments {
  readonly sections: readonly string[]
  readonly rounds: number
  readonly seconds: number
  readonly check: boolean
  readonly json: boolean
}

/** Undefined for what makes no sense. */
function argumentsOf(args: readonly string[]): Arguments | undefined {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        rounds: { type: 'string', default: '5' },
        seconds: { type: 'string', default: '5' },
        check: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    })
    const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)]
    const names = comparisons.map(({ name }) => name)
    const isSensible =
      Number.isInteger(rounds) &&
      rounds >= 1 &&
      rounds <= 100 &&
      seconds >= 1 &&
      seconds <= 600 &&
      positionals.every((name) => names.includes(name))
    if (!isSensible) return undefined
    const { check, json } = values
    return { sections: positionals.length > 0 ? positionals : names, rounds, seconds, check, json }
  } catch {
    return undefined
  }
}

const note = (line: string) => process.stderr.write(`${line}\n`)

/** The exit code: 0, or with `--check` 1 where a target is missed, or 2 for wrong use. */
async function main(args: readonly string[], lifetime: Lifetime): Promise<number> {
  const asked = argumentsOf(args)
  if (asked === undefined) {
    process.stderr.write(usage)
    return 2
  }
  const { rounds, seconds } = asked
  const postgres = new BenchPostgres(lifetime)
  const measured: Section[] = []
  for (const comparison of comparisons.filter(({ name }) => asked.sections.includes(name))) {
    const { name, about, rows, once = false } = comparison
    note(`${name}: ${about}`)
    const part = new Lifetime()
    lifetime.teardown(() => part.end())
    const contenders = await comparison.open({ postgres, note, teardown: (end) => part.teardown(end) })
    const present = contenders.filter((one): one is Contender => 'measure' in one)
    const results = await measureRounds(present, { rounds, seconds, once, note })
    await part.end()
    const section: Section = {
      name,
      about,
      machine: machineNow(postgres.version),
      rounds: once ? 1 : rounds,
      seconds,
      rows: rows.map((row) => outcomeOf(row, results, contenders)),
      measured: Object.fromEntries(results),
    }
    measured.push(section)
    const all = merged(
      await readResults(resultsPath),
      section,
      comparisons.map((one) => one.name),
    )
    await writeResults(resultsPath, all)
  }
  process.stdout.write(
    asked.json ? `${JSON.stringify(measured, undefined, 2)}\n` : `\n${tableOf(measured)}\n`,
  )
  const short = measured.flatMap((section) => section.rows).filter(({ verdict }) => verdict === 'short')
  return asked.check && short.length > 0 ? 1 : 0
}

const lifetime = new Lifetime()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void lifetime.end().finally(() => process.exit(1))
  })
}
try {
  process.exitCode = await main(process.argv.slice(2), lifetime)
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.stack : error}\n`)
  process.exitCode = 1
} finally {
  await lifetime.end()
}
