import { MutantTrials } from '../mutants/mutant-trials.mjs'
import { mutants } from '../mutants/mutants.mjs'
import { failureOf, ofTests } from '../mutants/test-run.mjs'
import { project } from '../mutants/work-folder.mjs'
import { testRuns } from './test-runs.mjs'

const timeoutMs = 900_000

/**
 * Returns the steps of a landing, those that take long first, so that the many short ones fill the end.
 *
 * @param {WorkFolder} work with its server
 * @param {Map<string, string>} texts compiled files by their paths
 * @returns {Promise<{ name: string, isRandom?: boolean, run: (copy: string) => Promise<string | undefined> }[]>} `run`
 *   resolves to a text about the failure, if there is one; the copy of the project is for this step only, until then.
 *   `isRandom` is true for steps that try things at random, and so may find a fault in one of their runs only
 */
export async function stepsOf(work, texts) {
  return [
    step('types', () => project, 'test/landing/types.mjs', []),
    step('types of the page', () => project, 'node_modules/typescript/bin/tsc', ['--noEmit', '-p', 'ui']),
    step('lint', () => project, 'node_modules/@biomejs/biome/bin/biome', ['check']),
    {
      ...step(
        'chaos',
        (copy) => copy,
        'test/chaos/main.js',
        // The allowance, because other steps keep the machine busy.
        ['--seed', '15523', '--minutes', '1', '--allowance', '27000'],
        work.environment,
      ),
      isRandom: true,
    },
    ...inTurn(
      testRuns(texts).map((run) => testStep(work, run)),
      await mutantSteps(work, texts),
    ),
  ]
}

/** Merges two lists, each evenly spread: mutants often wait for something that does not happen, and tests work. */
function inTurn(tests, mutants) {
  const placed = (steps) => steps.map((one, index) => ({ one, place: (index + 0.5) / steps.length }))
  return [...placed(tests), ...placed(mutants)].sort((a, b) => a.place - b.place).map(({ one }) => one)
}

function step(name, folderOf, program, args, env = {}) {
  return { name, run: (copy) => outputOf(folderOf(copy), program, { args, env }) }
}

function testStep(work, { name, files, isOfSources, env }) {
  const names = isOfSources ? files.map((file) => file.replace(/\.js$/, '.ts')) : files
  const main = isOfSources ? 'test/bundles/main.ts' : 'test/bundles/main.js'
  return {
    name,
    isRandom: /^test\/(unit\/core\/protocol|fuzz)\//.test(files[0]),
    // In its copy, because the same tests may run at the same time in the slow lane, and some write files.
    run: (copy) =>
      outputOf(isOfSources ? project : copy, names.length > 1 ? main : names[0], {
        nodeArgs: isOfSources ? ['--import=tsx', ...ofTests] : ofTests,
        env: {
          ...{ TAP_TIMEOUT: '0', TAP_DIAG: undefined, PROPERTY_RUNS: '1000' },
          ...{ TEST_FILES: names.join(' '), ...work.environment },
          ...env,
        },
      }),
  }
}

async function mutantSteps(work, texts) {
  const trials = await MutantTrials.of(mutants)
  if (trials.stale.length > 0) return [{ name: 'mutants', run: async () => trials.stale.join('\n\n') }]
  return trials.in(work, texts).map(({ mutant, verdict }) => ({
    name: `mutant: ${mutant.name}`,
    run: async (copy) => {
      const { isCaught, line } = await verdict(copy)
      return isCaught ? undefined : line
    },
  }))
}

/** Resolves to the output of a program if it failed, and to undefined otherwise. */
async function outputOf(folder, file, options) {
  const failure = await failureOf(folder, file, { untilFirstFailure: false, timeoutMs, ...options })
  return failure && (failure.isTimeout ? `${failure.output}\nno end in ${timeoutMs} ms` : failure.output)
}
