/** Checks the types of the project and of its mutants. Prints what is wrong, and exits with 1 if anything is. */
import { MutantTrials } from '../mutants/mutant-trials.mjs'
import { mutants } from '../mutants/mutants.mjs'

const trials = await MutantTrials.of(mutants)
// A mutant that is stale is not checked here; the step of the mutants fails for it.
const faults = await trials.typeFaults()
for (const fault of faults) console.log(`${fault}\n`)
process.exitCode = faults.length === 0 ? 0 : 1
