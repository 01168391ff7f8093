/**
 * Puts each mutant of mutants.mjs, one at a time, into a copy of the project and requires that a test fails. A mutant
 * that survives is a hole in the suite, and so is one that does not compile: it would fail whatever the tests say. The
 * mistakes of the design are caught twice: by the property test alone, and by the others without it.
 *
 * Sources and tests are transpiled once, and the files of tests run as plain programs that end at the first failure.
 * Those that need a database share one server.
 *
 *   node test/mutants/run.mjs            all of them
 *   node test/mutants/run.mjs token      those with `token` in their name
 */
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { replaceFile, restoreFile } from './compiled-project.mjs'
import { mutants } from './mutants.mjs'
import { failureOf, jobs } from './test-run.mjs'
import { typeErrors } from './type-check.mjs'
import { WorkFolder } from './work-folder.mjs'

const project = fileURLToPath(new URL('../..', import.meta.url))
const statementsCheck = 'test/mutants/statements-check.js'
const coreFolder = 'test/unit/core/'
const fileTimeoutMs = 120_000

const chosen = mutants.filter(({ name }) => name.includes(process.argv[2] ?? ''))
/** Test files that start servers besides the shared one. */
const hasOwnServer = new Set()
await WorkFolder.use('mutants-', main)

async function main(work) {
  const applied = await Promise.all(chosen.map(async (mutant) => ({ mutant, text: await mutated(mutant) })))
  const useless = uselessOf(applied)
  if (useless.length > 0) {
    for (const line of useless) console.error(`${line}\n`)
    return false
  }

  const texts = await work.compile(project)
  for (const [file, text] of texts) if (text.includes('ownServer(')) hasOwnServer.add(file)
  const tests = [...texts.keys()].filter((file) => file.endsWith('.test.js'))
  const trials = applied.flatMap(({ mutant, text }) =>
    trialsOf(mutant, tests).map((runs) => ({ mutant, text, runs })),
  )
  if (trials.some(({ runs }) => runs.some(needsServer))) await work.startServer()

  const failure = await baselineFailure(work, trials)
  if (failure) {
    console.error(`without a mutant it fails already: ${failure.file}: ${failure.test}\n${failure.output}`)
    return false
  }

  const queue = [...trials].sort((a, b) => b.runs.some(needsServer) - a.runs.some(needsServer))
  await work.forEach(queue, async (copy, trial) => {
    const startedMs = performance.now()
    trial.failure = await tryIn(work, copy, trial)
    await restoreFile(copy, work.unchanged, trial.mutant.file)
    trial.tookMs = performance.now() - startedMs
  })

  const width = Math.max(...chosen.map(({ name }) => name.length))
  for (const { mutant, runs, failure, tookMs } of trials) {
    const verdict = failure?.test
      ? `${nameOf(failure.file)}: ${failure.test}`
      : `SURVIVED ${failure ? failure.output : runs.map(({ file }) => nameOf(file)).join(', ')}`
    console.log(`${mutant.name.padEnd(width)}  ${(tookMs / 1_000).toFixed(1).padStart(5)} s  ${verdict}`)
  }
  const survivors = trials.filter(({ failure }) => !failure?.test)
  console.log(
    `\n${chosen.length} mutants, caught ${trials.length - survivors.length} of ${trials.length} times`,
  )
  return survivors.length === 0 && trials.length > 0
}

/**
 * Why mutants would show nothing, a line each: their text is not there exactly once, or what comes out does not
 * compile.
 */
function uselessOf(applied) {
  const stale = applied.filter(({ text }) => text === undefined)
  if (stale.length > 0)
    return stale.map(
      ({ mutant: { name, file, find } }) => `${name}: ${file} no longer has exactly once:\n${find}`,
    )
  const sources = applied.filter(({ mutant }) => mutant.file.endsWith('.ts'))
  const errors = typeErrors(
    project,
    sources.map(({ mutant: { file }, text }) => ({ file, text })),
  )
  return sources.flatMap(({ mutant: { name, file } }, index) =>
    errors[index] === undefined ? [] : [`${name}: ${file} does not compile: ${errors[index]}`],
  )
}

/**
 * The lists of runs, in the order to be tried, of which each must catch the mutant. A run is a file, or some tests of
 * one.
 */
function trialsOf({ file, caughtBy, tests: names, alsoCaughtBy }, tests) {
  const coreTests = tests.filter((test) => test.startsWith(coreFolder))
  const named = { file: fileOf(caughtBy, tests), tests: names }
  const alone = alsoCaughtBy ? [[{ file: fileOf(alsoCaughtBy, tests) }]] : []
  if (!file.startsWith('src/core/') || !coreTests.includes(named.file)) return [[named], ...alone]
  // The property test comes last: it takes the longest.
  const others = coreTests
    .filter((one) => one !== named.file && nameOf(one) !== alsoCaughtBy)
    .sort((a, b) => (nameOf(a) === 'property') - (nameOf(b) === 'property'))
  return [[named, ...others.map((one) => ({ file: one }))], ...alone]
}

/** The only test file of this name; without a folder, the only one among the core's. */
function fileOf(name, tests) {
  const end = `/${name}.test.js`
  const found = tests.filter(
    (test) => test.endsWith(end) && (name.includes('/') || test.startsWith(coreFolder)),
  )
  if (found.length !== 1) throw new Error(`${found.length} test files are named ${name}`)
  return found[0]
}

function needsServer({ file }) {
  return !file.startsWith('test/unit/')
}

/** Returns the first failure without a mutant among all runs. */
async function baselineFailure(work, trials) {
  const runs = new Map(trials.flatMap((trial) => trial.runs).map((run) => [`${run.file} ${run.tests}`, run]))
  if (trials.some(({ mutant }) => isStatement(mutant))) runs.set('statements', { file: statementsCheck })
  const queue = [...runs.values()].sort((a, b) => nameOf(b.file).localeCompare(nameOf(a.file)))
  let failure
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      for (let run = queue.shift(); run && !failure; run = queue.shift()) {
        const found = await runFailure(work, work.unchanged, run, { isMutant: false })
        failure ??= found
      }
    }),
  )
  return failure
}

/** The first failure, in a copy that has the mutant. */
async function tryIn(work, copy, { mutant, text, runs }) {
  await replaceFile(copy, mutant.file, text)
  const noStatement = isStatement(mutant) && (await runFailure(work, copy, { file: statementsCheck }))
  if (noStatement) return { ...noStatement, test: undefined }
  for (const run of runs) {
    const failure = await runFailure(work, copy, run)
    if (failure) return failure
  }
  return undefined
}

function isStatement({ file }) {
  return file.startsWith('sql/') || file.startsWith('src/postgres/')
}

function nameOf(file) {
  return basename(file).replace(/(\.test)?\.js$/, '')
}

/** The file with the mutant in it; undefined if its text is not there exactly once. */
async function mutated({ file, find, replace }) {
  const parts = (await readFile(join(project, file), 'utf8')).split(find)
  return parts.length === 2 ? parts.join(replace) : undefined
}

/** Runs tests of one file, until the first of them fails. */
function runFailure({ databaseUrl }, folder, { file, tests }, { isMutant } = { isMutant: true }) {
  return failureOf(folder, file, {
    // A server of its own must be stopped by the test that has started it.
    untilFirstFailure: !hasOwnServer.has(file),
    timeoutMs: fileTimeoutMs,
    env: {
      // A run that does not end has not caught the mutant.
      TAP_TIMEOUT: '0',
      TEST_PATIENCE_MS: '20000',
      ...(isMutant && { PROPERTY_RUNS: '10000' }),
      ...(tests && { TAP_GREP: tests }),
      ...(databaseUrl && { TEST_DATABASE_URL: databaseUrl }),
    },
  })
}
