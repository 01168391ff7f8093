import { Parser } from 'tap-parser'
import { MutantTrials } from '../mutants/mutant-trials.mjs'
import { mutants } from '../mutants/mutants.mjs'
import { inShare } from '../mutants/share.mjs'
import { failureOf, ofTests } from '../mutants/test-run.mjs'
import { project } from '../mutants/work-folder.mjs'
import { testRuns } from './test-runs.mjs'

/** For each file. */
const timeoutMs = 900_000

/**
 * Returns the steps of a landing, those that take long first, so that the many short ones fill the end.
 *
 * @param {WorkFolder} work
 * @param {Map<string, string>} texts compiled files by their paths
 * @param {number | undefined} share which of the mutants are tried; undefined for all of them
 * @returns {Promise<Step[]>}
 *
 * @typedef {object} Step
 * @property {string} name
 * @property {boolean} [needsServer] true for a step that uses the server of the work folder
 * @property {boolean} [isRandom] true for a step that tries things at random, and so may find a fault in one of its runs
 *   only
 * @property {(copy: string) => Promise<string | undefined>} run resolves to a text about the failure, if there is one;
 *   the copy of the project is for this step only, until then
 */
export async function stepsOf(work, texts, share) {
  return [
    ofProject('types', 'test/landing/types.mjs', []),
    ofProject('types of the page', 'node_modules/typescript-native/bin/tsc', ['--noEmit', '-p', 'ui']),
    ofProject('lint', 'node_modules/@biomejs/biome/bin/biome', ['check']),
    {
      name: 'chaos',
      needsServer: true,
      isRandom: true,
      run: (copy) =>
        outputOf(copy, 'test/chaos/main.js', {
          // The allowance, because other steps keep the machine busy.
          args: ['--seed', '15523', '--minutes', '1', '--allowance', '27000'],
          env: work.environment,
        }),
    },
    ...inTurn(
      testRuns(texts).map((run) => testStep(work, run)),
      await mutantSteps(work, texts, share),
    ),
  ]
}

/** Merges two lists, each evenly spread: mutants often wait for something that does not happen, and tests work. */
function inTurn(tests, mutants) {
  const placed = (steps) => steps.map((one, index) => ({ one, place: (index + 0.5) / steps.length }))
  return [...placed(tests), ...placed(mutants)].sort((a, b) => a.place - b.place).map(({ one }) => one)
}

function ofProject(name, program, args) {
  return { name, run: () => outputOf(project, program, { args, env: {} }) }
}

function testStep(work, { name, files, isOfSources, env }) {
  const names = isOfSources ? files.map((file) => file.replace(/\.js$/, '.ts')) : files
  const main = isOfSources ? 'test/bundles/main.ts' : 'test/bundles/main.js'
  return {
    name,
    needsServer: !/^test\/(bundles|unit)\//.test(files[0]),
    isRandom: /^test\/(unit\/core\/protocol|fuzz)\//.test(files[0]),
    // In its copy, because the same tests may run at the same time in the slow lane, and some write files.
    run: async (copy) => {
      const output = await outputOf(isOfSources ? project : copy, names.length > 1 ? main : names[0], {
        nodeArgs: isOfSources ? ['--import=tsx', ...ofTests] : ofTests,
        timeoutMs: names.length * timeoutMs,
        env: {
          ...{ TAP_TIMEOUT: '0', TAP_DIAG: undefined, PROPERTY_RUNS: process.env.PROPERTY_RUNS ?? '1000' },
          ...{ TEST_FILES: names.join(' '), ...work.environment },
          ...env,
        },
      })
      return output && withoutPassed(output)
    },
  }
}

/** Returns what a report in the Test Anything Protocol says besides the assertions that held: it has thousands. */
function withoutPassed(report) {
  const events = Parser.parse(report, { flat: true })
  const told = events.filter(
    ([kind, what]) =>
      kind === 'extra' ||
      kind === 'bailout' ||
      (kind === 'comment' && !/^# (Subtest|time=)/.test(what)) ||
      (kind === 'assert' && !what.ok),
  )
  // A process can fail without a failure in its report.
  const isExplained = told.some(([kind]) => kind === 'assert' || kind === 'bailout')
  return isExplained ? Parser.stringify(told, { flat: true }) : report
}

async function mutantSteps(work, texts, share) {
  const mutantTrials = await MutantTrials.of(mutants)
  const { stale } = mutantTrials
  if (stale.length > 0) return [{ name: 'mutants', run: async () => stale.join('\n\n') }]
  const trials = mutantTrials.in(work, texts)
  return (share === undefined ? trials : inShare(trials, share)).map(({ mutant, verdict }) => ({
    name: `mutant: ${mutant.name}`,
    needsServer: true,
    run: async (copy) => {
      const { isCaught, line } = await verdict(copy)
      return isCaught ? undefined : line
    },
  }))
}

/** Resolves to the output of a program if it failed, and to undefined otherwise. */
async function outputOf(folder, file, options) {
  const run = { untilFirstFailure: false, timeoutMs, ...options }
  const failure = await failureOf(folder, file, run)
  return failure && (failure.isTimeout ? `${failure.output}\nno end in ${run.timeoutMs} ms` : failure.output)
}
