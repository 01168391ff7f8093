/**
 * Breaks lines of src/ that are drawn at random, one at a time, each by a small change that compiles, and shows which
 * of them the nearest tests catch. A line that no test catches is a hole in the suite, or the change makes no
 * difference.
 *
 *   npm run test:sample -- --seed 1                 the same seed draws the same lines from the same sources
 *   npm run test:sample -- --seed 1 --lines 10 --seconds 60
 *
 * The exit code is 0 if 95% of the lines are caught.
 */
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { replaceFile, restoreFile } from '../compiled-project.mjs'
import { failureOf, jobs } from '../test-run.mjs'
import { typeErrors } from '../type-check.mjs'
import { project, WorkFolder } from '../work-folder.mjs'
import { mutationsOf } from './mutations.mjs'
import { nearestTests } from './nearest-tests.mjs'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    lines: { type: 'string', default: '40' },
    /** Time after which no further test is started for a line. */
    seconds: { type: 'string', default: '180' },
  },
})
const [seed, lineCount, seconds] = [values.seed, values.lines, values.seconds].map(Number)
/** Changes of one line that are tried until one compiles. */
const changesPerLine = 3
/** A test that takes this much longer than four times the usual has caught the change. */
const patienceMs = 20_000
const unchangedTimeoutMs = 120_000

/** Times that test files take without a change; undefined for those that fail in the copy. */
const durations = new Map()
await WorkFolder.use('sample-', main)

async function main(work) {
  // Servers of the tests may run under another account.
  await mkdir(temporaryIn(work))
  await chmod(work.path, 0o755)
  await chmod(temporaryIn(work), 0o777)
  const texts = await work.compile()
  await work.startServer()
  const { Random } = await import(join(work.unchanged, 'test/support/random.js'))

  const mutations = await draw(new Random(seed))
  let caught = 0
  await work.forEach(mutations, jobs, async (copy, mutation) => {
    const { failure, tried } = await tryIn(work, copy, nearestTests(texts, mutation.file), mutation)
    if (failure) caught++
    console.log(`${failure ? 'caught' : 'NOT CAUGHT'}  ${mutation.file}:${mutation.line}  ${mutation.change}`)
    console.log(`    ${failure ? `${failure.file}: ${failure.test ?? 'does not end'}` : tried.join(', ')}`)
  })
  console.log(`\nseed ${seed}: caught ${caught} of ${mutations.length} lines`)
  return caught >= mutations.length * 0.95
}

/** Draws lines, and for each of them a change that compiles. Lines without one are drawn again. */
async function draw(random) {
  const byLine = new Map()
  for (const entry of (await readdir(join(project, 'src'), { recursive: true })).sort()) {
    if (!entry.endsWith('.ts') || entry.endsWith('.d.ts')) continue
    const file = `src/${entry.replaceAll('\\', '/')}`
    for (const mutation of mutationsOf(file, await readFile(join(project, file), 'utf8'))) {
      const line = `${file}:${mutation.line}`
      byLine.set(line, [...(byLine.get(line) ?? []), mutation])
    }
  }
  const drawFrom = (items, count) =>
    Array.from(
      { length: Math.min(count, items.length) },
      () => items.splice(random.integer(0, items.length - 1), 1)[0],
    )
  const lines = [...byLine.values()]
  const drawn = []
  while (drawn.length < lineCount && lines.length > 0) {
    const candidates = drawFrom(lines, lineCount).map((changes) => drawFrom(changes, changesPerLine))
    const errors = typeErrors(project, candidates.flat())
    for (const changes of candidates) {
      const compiling = changes.filter((_, index) => errors[index] === undefined)
      errors.splice(0, changes.length)
      if (compiling[0] && drawn.length < lineCount) drawn.push(compiling[0])
    }
  }
  return drawn
}

/** Returns the failure that shows the change, if any, and the tests that were run. */
async function tryIn(work, copy, tests, { file, text }) {
  const tried = []
  const deadlineMs = performance.now() + seconds * 1_000
  await replaceFile(copy, file, text)
  try {
    for (const test of tests) {
      if (performance.now() > deadlineMs) break
      const usualMs = await durationUnchanged(work, test)
      if (usualMs === undefined) continue
      tried.push(test)
      const timeoutMs = patienceMs + 4 * usualMs
      const failure = await run(work, copy, test, timeoutMs)
      // A test with servers and processes may have failed by chance.
      const isSure = failure && (failure.isTimeout || test.startsWith('test/unit/'))
      if (isSure || (failure && (await run(work, copy, test, timeoutMs)))) return { failure, tried }
    }
    return { failure: undefined, tried }
  } finally {
    await restoreFile(copy, work.unchanged, file)
  }
}

/** Runs a test without a change, once. Resolves with the time that it took, or undefined if it did not pass. */
function durationUnchanged(work, test) {
  if (!durations.has(test)) {
    const startedMs = performance.now()
    const took = (failure) => (failure ? undefined : performance.now() - startedMs)
    durations.set(test, run(work, work.unchanged, test, unchangedTimeoutMs).then(took))
  }
  return durations.get(test)
}

/** Returns the folder for temporary files of the tests. */
function temporaryIn({ path }) {
  return join(path, 'tmp')
}

function run(work, folder, test, timeoutMs) {
  return failureOf(folder, test, {
    untilFirstFailure: true,
    timeoutMs,
    env: { TAP_TIMEOUT: '0', ...work.environment, TMPDIR: temporaryIn(work) },
  })
}
