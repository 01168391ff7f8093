/**
 * Runs everything that decides about a landing, side by side, and prints at the end what failed.
 *
 *   npm test                          everything
 *   npm test -- outage                the steps with `outage` in their name
 *   npm test -- outage restart        those with one or the other
 *
 * A step that fails is run again when all others have ended, and alone: if it passes then, it is named, and does not
 * fail the run. A step that tries things at random is not: what it has found stands.
 */
import { availableParallelism } from 'node:os'
import { shareOfCommit, shares } from '../mutants/share.mjs'
import { WorkFolder } from '../mutants/work-folder.mjs'
import { stepsOf } from './steps.mjs'

/** More than there are cores, because tests wait. */
const jobs = 3 * availableParallelism()

const mostRepeated = 12

let ended = 0

await WorkFolder.use('landing-', main)

async function main(work) {
  const startedMs = performance.now()
  const texts = await work.compile()
  const [first = '', ...others] = process.argv.slice(2)
  const parts = [first, ...others]
  const share = first === '' ? shareOfCommit() : undefined
  const steps = (await stepsOf(work, texts, share)).filter(({ name }) =>
    parts.some((part) => name.includes(part)),
  )
  if (steps.length === 0)
    console.log(`no step has "${parts.join('" or "')}" in its name; unit tests are in "unit"`)
  if (share !== undefined)
    console.log(`# share ${share} of ${shares} of the mutants; npm run test:mutants tries them all`)
  if (steps.some(({ needsServer }) => needsServer)) await work.startServer()
  const failures = await failuresOf(work, steps, { jobs, isLast: false })
  const { final, repeatable } = split(failures)
  // A shared machine can be so slow that a test fails by time. It passes alone.
  if (repeatable.length > 0) console.log(`\n# ${repeatable.length} of them once more, one at a time`)
  const again = repeatable.map(({ step }) => step)
  const repeated = await failuresOf(work, again, { jobs: 1, isLast: true })
  const failed = [...final, ...repeated]
  for (const { step, failure } of failed) console.log(`\nFailed: ${step.name}\n${failure}`)
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1)
  console.log(
    `\n1..${steps.length + repeatable.length}\n# ${steps.length} steps in ${minutes} minutes, ${failed.length} failed`,
  )
  for (const { step } of failed) console.log(`#   ${step.name}`)
  const slow = again.filter((step) => !repeated.some((other) => other.step === step))
  if (slow.length > 0) console.log(`# ${slow.length} passed only alone`)
  for (const { name } of slow) console.log(`#   ${name}`)
  return failed.length === 0 && steps.length > 0
}

/** Runs steps, `jobs` at a time. Resolves to those that failed, with their outputs. */
async function failuresOf(work, steps, { jobs, isLast }) {
  const failures = []
  await work.forEach(steps, Math.min(jobs, steps.length), async (copy, step) => {
    const begunMs = performance.now()
    const failure = await step.run(copy)
    const tookMs = Math.round(performance.now() - begunMs)
    // In the Test Anything Protocol, which CI services read: a failure with the directive TODO does not count.
    const result = failure === undefined ? 'ok' : 'not ok'
    const directive =
      failure === undefined || isLast || step.isRandom ? `time=${tookMs}ms` : 'TODO run it alone'
    console.log(`${result} ${++ended} - ${step.name} # ${directive}`)
    if (failure === undefined) return
    // At once, for who waits, and at the end, for who reads the last page.
    console.log(failure)
    failures.push({ step, failure })
  })
  return failures
}

/** Separates the failures that stand from those of steps to be run again. Many failures are no matter of time. */
function split(failures) {
  const mayRepeat = failures.length <= mostRepeated
  return {
    final: failures.filter(({ step }) => !mayRepeat || step.isRandom),
    repeatable: failures.filter(({ step }) => mayRepeat && !step.isRandom),
  }
}
