/**
 * Puts each mutant of mutants.mjs, one at a time, into a copy of the project and requires that a test fails.
 *
 *   node test/mutants/run.mjs            all of them
 *   node test/mutants/run.mjs token      those with `token` in their name
 */
import { MutantTrials } from './mutant-trials.mjs'
import { mutants } from './mutants.mjs'
import { jobs } from './test-run.mjs'
import { WorkFolder } from './work-folder.mjs'

await WorkFolder.use('mutants-', main)

async function main(work) {
  const mutantTrials = await MutantTrials.of(
    mutants.filter(({ name }) => name.includes(process.argv[2] ?? '')),
  )
  const useless = mutantTrials.stale.length > 0 ? mutantTrials.stale : await mutantTrials.typeFaults()
  if (useless.length > 0) {
    for (const line of useless) console.error(`${line}\n`)
    return false
  }
  const texts = await work.compile()
  const trials = mutantTrials.in(work, texts)
  await work.startServer()

  const failure = await mutantTrials.baselineFailure(work, trials, jobs)
  if (failure) {
    console.error(`without a mutant it fails already: ${failure.file}: ${failure.test}\n${failure.output}`)
    return false
  }
  let caught = 0
  await work.forEach(trials, jobs, async (copy, trial) => {
    const { isCaught, line } = await trial.verdict(copy)
    if (isCaught) caught++
    console.log(line)
  })
  console.log(`\ncaught ${caught} of ${trials.length} times`)
  return caught === trials.length && trials.length > 0
}
