import { mkdtemp } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { argumentsOf } from './arguments.js'
import { drawCharts } from './charts.js'
import type { Comparison } from './comparison.js'
import { comparisons } from './comparisons.js'
import { Lifetime } from './lifetime.js'
import { machineNow } from './machine.js'
import { BenchPostgres } from './postgres.js'
import { profilesIn } from './profile.js'
import { merged, readResults, type Section, writeResults } from './results.js'
import { measureRounds } from './rounds.js'
import { writeScalingPage } from './scaling-page.js'
import { tableOf } from './table.js'
import { writeTargetsPage } from './targets-page.js'
import { fallsShort, outcomeOf } from './verdict.js'

/** `npm run bench`: every comparison, side by side on the same cores. */

const usage = `usage: npm run bench -- [SECTION...] [--rounds N] [--seconds N] [--check] [--json] [--profile]

${comparisons.map(({ name, about }) => `  ${name.padEnd(16)}${about}`).join('\n')}

  Only when named: ${comparisons.flatMap(({ name, onlyWhenNamed }) => (onlyWhenNamed ? [name] : [])).join(', ')}

  --rounds   how often each contender is measured (5)
  --seconds  how long each time (5)
  --check    exit code 1 where a target is missed
  --json     the results as JSON on stdout
  --profile  where the time of what runs on Node went, in place of results: profiling slows them
`

const names = comparisons.map(({ name }) => name)
const usual = comparisons.filter(({ onlyWhenNamed }) => !onlyWhenNamed).map(({ name }) => name)
const resultsPath = fileURLToPath(new URL('results.json', import.meta.url))
/** Above this load average others take part. */
const quietLoad = 0.5

const note = (line: string) => process.stderr.write(`${line}\n`)

/** The exit code: 0; 1 where a section fails or, with `--check`, a target is missed; 2 for wrong use. */
async function main(args: readonly string[], lifetime: Lifetime): Promise<number> {
  const asked = argumentsOf(args, names, usual)
  if (asked === undefined) {
    process.stderr.write(usage)
    return 2
  }
  const [load = 0] = loadavg()
  if (load > quietLoad)
    note(`The machine is busy (load average ${load.toFixed(1)}): the figures will not mean much.`)
  const { rounds, seconds, check, json, profile } = asked
  const postgres = new BenchPostgres(lifetime)
  const measured: Section[] = []
  const failed: string[] = []
  for (const comparison of comparisons.filter(({ name }) => asked.sections.includes(name))) {
    note(`${comparison.name}: ${comparison.about}`)
    const part = new Lifetime()
    lifetime.teardown(() => part.end())
    const profileFolder = profile ? await mkdtemp(join(tmpdir(), 'caching-layer-profile-')) : undefined
    try {
      const section = await measure(comparison, { postgres, part, rounds, seconds, profileFolder })
      if (profileFolder) {
        await part.end()
        for (const summary of await profilesIn(profileFolder)) note(`\n${summary}\n`)
        continue
      }
      measured.push(section)
      const all = merged(await readResults(resultsPath), section, names)
      await writeResults(resultsPath, all)
      await drawCharts(all)
      await writeScalingPage([section])
      await writeTargetsPage(all)
    } catch (error) {
      // The others may still be measured.
      failed.push(comparison.name)
      note(`${comparison.name} failed: ${error instanceof Error ? error.stack : error}`)
    } finally {
      await part.end()
    }
  }
  if (measured.length > 0)
    process.stdout.write(json ? `${JSON.stringify(measured, undefined, 2)}\n` : `\n${tableOf(measured)}\n`)
  if (failed.length > 0) note(`not measured: ${failed.join(', ')}`)
  const isShort = fallsShort(measured.flatMap((section) => section.rows))
  return failed.length > 0 || (check && isShort) ? 1 : 0
}

interface Measuring {
  readonly postgres: BenchPostgres
  /** Ends when the section is over. */
  readonly part: Lifetime
  readonly rounds: number
  readonly seconds: number
  readonly profileFolder: string | undefined
}

async function measure(
  { name, about, rows, once = false, open }: Comparison,
  { postgres, part, rounds, seconds, profileFolder }: Measuring,
): Promise<Section> {
  const machine = { ...machineNow(), loadBefore: loadavg()[0] as number }
  const contenders = await open({
    postgres,
    note,
    profileFolder,
    teardown: (end) => part.teardown(end),
  })
  const present = contenders.filter((one) => 'measure' in one)
  const results = await measureRounds(present, { rounds, seconds, once, note })
  return {
    name,
    about,
    machine: { ...machine, postgres: postgres.version },
    rounds: once ? 1 : rounds,
    seconds,
    rows: rows.map((row) => outcomeOf(row, results, contenders)),
    measured: Object.fromEntries(results),
  }
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
