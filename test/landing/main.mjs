/**
 * Runs everything that decides about a landing, side by side, and prints at the end what failed.
 *
 *   npm test                 everything
 *   npm test -- outage       the steps with `outage` in their name
 */
import { availableParallelism } from 'node:os'
import { WorkFolder } from '../mutants/work-folder.mjs'
import { stepsOf } from './steps.mjs'

/** More than there are cores, because tests wait. */
const jobs = 3 * availableParallelism()

await WorkFolder.use('landing-', main)

async function main(work) {
  const startedMs = performance.now()
  const texts = await work.compile()
  await work.startServer()
  const part = process.argv[2] ?? ''
  const steps = (await stepsOf(work, texts)).filter(({ name }) => name.includes(part))
  if (steps.length === 0) console.log(`no step has "${part}" in its name; unit tests are in "unit"`)
  const failures = []
  let ended = 0
  await work.forEach(steps, jobs, async (copy, { name, run }) => {
    const begunMs = performance.now()
    const failure = await run(copy)
    const tookMs = Math.round(performance.now() - begunMs)
    // In the Test Anything Protocol, which CI services read.
    console.log(`${failure === undefined ? 'ok' : 'not ok'} ${++ended} - ${name} # time=${tookMs}ms`)
    if (failure === undefined) return
    // At once, for who waits, and at the end, for who reads the last page.
    console.log(failure)
    failures.push({ name, failure })
  })
  for (const { name, failure } of failures) console.log(`\nFailed: ${name}\n${failure}`)
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1)
  console.log(
    `\n1..${steps.length}\n# ${steps.length} steps in ${minutes} minutes, ${failures.length} failed`,
  )
  for (const { name } of failures) console.log(`#   ${name}`)
  return failures.length === 0 && steps.length > 0
}
