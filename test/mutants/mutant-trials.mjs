import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { replaceFile, restoreFile } from './compiled-project.mjs'
import { compilerErrors } from './compiler.mjs'
import { failureOf, ofTests } from './test-run.mjs'
import { project } from './work-folder.mjs'

const statementsCheck = './test/mutants/statements-check.js'
const coreFolder = 'test/unit/core/'
const fileTimeoutMs = 120_000

/**
 * Trials of mutants: each puts one mistake into a copy of the project and requires that a test fails. A mutant that
 * survives is a hole in the suite, and so is one that does not compile: it would fail whatever the tests say. The
 * mistakes of the design are tried twice: with the property test alone, and with the others without it.
 *
 * The files of tests run as plain programs that end at the first failure. Those that need a database share one server.
 */
export class MutantTrials {
  #applied
  /** Test files that start servers besides the shared one. */
  #hasOwnServer = new Set()

  constructor(applied) {
    this.#applied = applied
    /** Lines about mutants whose text is not in the project exactly once. They would show nothing. */
    this.stale = applied
      .filter(({ text }) => text === undefined)
      .map(({ mutant: { name, file, find } }) => `${name}: ${file} no longer has exactly once:\n${find}`)
  }

  static async of(mutants) {
    return new MutantTrials(
      await Promise.all(mutants.map(async (mutant) => ({ mutant, text: await mutated(mutant) }))),
    )
  }

  /**
   * Checks the types of the project. Resolves to the compiler's report if it finds faults in it, and else to a line for
   * each mutant that does not compile, and so would show nothing. Leaves out those that are stale.
   */
  async typeFaults() {
    const { ofProject, ofChanged } = await compilerErrors(project, this.#sources())
    return ofProject === '' ? this.#faultsOf(ofChanged) : [ofProject]
  }

  /**
   * Returns the trials, those that need the database first.
   *
   * @param {WorkFolder} work with its server, by the time of the first trial
   * @param {Map<string, string>} texts compiled files by their paths
   */
  in(work, texts) {
    for (const [file, text] of texts) if (text.includes('ownServer(')) this.#hasOwnServer.add(file)
    const tests = [...texts.keys()].filter((file) => file.endsWith('.test.js'))
    const width = Math.max(...this.#applied.map(({ mutant }) => mutant.name.length))
    return this.#applied
      .flatMap(({ mutant, text }) => runsOf(mutant, tests).map((runs) => ({ mutant, text, runs })))
      .sort((a, b) => b.runs.some(needsServer) - a.runs.some(needsServer))
      .map((trial) => ({
        ...trial,
        /** Tries the mutant in a copy. Resolves to a line about it. */
        verdict: async (copy) => {
          const startedMs = performance.now()
          const failure = await this.#tryIn(work, copy, trial)
          const seconds = ((performance.now() - startedMs) / 1_000).toFixed(1)
          const isCaught = failure?.test !== undefined
          const what = isCaught
            ? `${nameOf(failure.file)}: ${failure.test}`
            : `SURVIVED ${failure ? failure.output : trial.runs.map(({ file }) => nameOf(file)).join(', ')}`
          return { isCaught, line: `${trial.mutant.name.padEnd(width)}  ${seconds.padStart(5)} s  ${what}` }
        },
      }))
  }

  /** Returns the first failure without a mutant among all runs. */
  async baselineFailure(work, trials, jobs) {
    const runs = new Map(trials.flatMap(({ runs }) => runs).map((run) => [`${run.file} ${run.tests}`, run]))
    const queue = [...runs.values()].sort((a, b) => nameOf(b.file).localeCompare(nameOf(a.file)))
    let failure
    await Promise.all(
      Array.from({ length: jobs }, async () => {
        for (let run = queue.shift(); run && !failure; run = queue.shift()) {
          const found = await this.#runFailure(work, work.unchanged, run)
          failure ??= found
        }
      }),
    )
    return failure
  }

  #sources() {
    return this.#applied
      .filter(({ mutant, text }) => mutant.file.endsWith('.ts') && text !== undefined)
      .map(({ mutant: { name, file }, text }) => ({ name, file, text }))
  }

  #faultsOf(errors) {
    return this.#sources().flatMap(({ name, file }, index) =>
      errors[index] === undefined ? [] : [`${name}: ${file} does not compile: ${errors[index]}`],
    )
  }

  /** Returns the first failure in a copy that has the mutant, and puts the copy back as it was. */
  async #tryIn(work, copy, { mutant, text, runs }) {
    await replaceFile(copy, mutant.file, text)
    try {
      for (const run of runs) {
        const failure = await this.#runFailure(work, copy, run, {
          // In the same process: statements that PostgreSQL refuses end it before a test could fail.
          nodeArgs: isStatement(mutant) ? ['--import', statementsCheck] : [],
          env: {
            PROPERTY_RUNS: '10000',
            // The template has the tables as they are without the mutant.
            ...(changesTables(mutant) && { TEST_TEMPLATE: undefined }),
          },
        })
        if (failure) return failure
      }
      return undefined
    } finally {
      await restoreFile(copy, work.unchanged, mutant.file)
    }
  }

  /** Runs tests of one file, until the first of them fails. */
  #runFailure({ environment }, folder, { file, tests }, { nodeArgs = [], env } = {}) {
    return failureOf(folder, file, {
      nodeArgs: [...ofTests, ...nodeArgs],
      // A server of its own must be stopped by the test that has started it.
      untilFirstFailure: !this.#hasOwnServer.has(file),
      timeoutMs: fileTimeoutMs,
      env: {
        // A run that does not end has not caught the mutant.
        TAP_TIMEOUT: '0',
        TEST_PATIENCE_MS: '10000',
        ...environment,
        ...env,
        ...(tests && { TAP_GREP: tests }),
      },
    })
  }
}

/**
 * Returns the lists of runs, in the order to be tried, of which each must catch the mutant. A run is a file, or some
 * tests of one.
 */
function runsOf({ file, caughtBy, tests: names, alsoCaughtBy }, tests) {
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

/** Returns the only test file of this name; without a folder, the only one among the core's. */
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

function isStatement({ file }) {
  return file.startsWith('sql/') || file.startsWith('src/postgres/')
}

function changesTables({ file }) {
  return file.startsWith('sql/') || file.startsWith('src/postgres/schema/')
}

function nameOf(file) {
  return basename(file).replace(/(\.test)?\.js$/, '')
}

/** Returns the file with the mutant in it; undefined if its text is not there exactly once. */
async function mutated({ file, find, replace }) {
  const parts = (await readFile(join(project, file), 'utf8')).split(find)
  return parts.length === 2 ? parts.join(replace) : undefined
}
