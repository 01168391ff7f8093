/**
 * Breaks lines of src/ that are drawn at random, one at a time, each by a small change that compiles, and shows which
 * of them a test catches. Only tests that run the line are tried, the nearest first. A line that no test catches is a
 * hole in the suite, or the change makes no difference.
 *
 *   npm run test:sample -- --seed 1                 the same seed draws the same lines from the same sources
 *   npm run test:sample -- --seed 1 --lines 10 --seconds 60
 *   npm run test:sample -- --under src/core/ --tests test/unit/    lines of one folder, tried by tests of another only
 *
 * The exit code is 0 if 95% of the lines are caught.
 */
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { isForSlowLane } from '../../landing/test-runs.mjs'
import { replaceFile, restoreFile, transpiled } from '../compiled-project.mjs'
import { failureOf, jobs, ofTests } from '../test-run.mjs'
import { breakingTexts, typeChecks } from '../type-check.mjs'
import { project, WorkFolder } from '../work-folder.mjs'
import { mutationsOf } from './mutations.mjs'
import { nearestTests } from './nearest-tests.mjs'
import { UnchangedRuns } from './unchanged-runs.mjs'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    lines: { type: 'string', default: '40' },
    /** Beginning of the paths of the files whose lines are drawn. */
    under: { type: 'string', default: 'src/' },
    /** Beginning of the paths of the tests that are tried. */
    tests: { type: 'string', default: 'test/' },
    /** Time after which no further test is started for a line. */
    seconds: { type: 'string', default: '180' },
  },
})
const [seed, lineCount, seconds] = [values.seed, values.lines, values.seconds].map(Number)
/** Changes of one line that are tried until one compiles. */
const changesPerLine = 3
/** A test that takes this much longer than four times the usual has caught the change. */
const patienceMs = 20_000
const unchangedTimeoutMs = 300_000

await WorkFolder.use('sample-', main)

async function main(work) {
  // Servers of the tests may run under another account.
  await mkdir(temporaryIn(work))
  await chmod(work.path, 0o755)
  await chmod(temporaryIn(work), 0o777)
  const texts = await work.compile()
  await work.startServer()
  const { Random } = await import(join(work.unchanged, 'test/support/random.js'))

  const mutations = await draw(texts, new Random(seed))
  const unchanged = new UnchangedRuns({
    work,
    texts,
    run: (folder, test, env) => run(work, folder, test, { timeoutMs: unchangedTimeoutMs, env }),
  })
  await unchanged.complete(testsWithLanes(texts, [...texts.keys()].filter(isTest)))
  let caught = 0
  await work.forEach(mutations, jobs, async (copy, mutation) => {
    const tests = testsOf(texts, unchanged, mutation)
    const { failure, tried, isLate } = await tryIn(work, copy, tests, mutation)
    if (failure) caught++
    console.log(`${failure ? 'caught' : 'NOT CAUGHT'}  ${mutation.file}:${mutation.line}  ${mutation.change}`)
    const by = failure && `${failure.name}: ${failure.test ?? 'does not end'}`
    const names = tried.map(({ name }) => name)
    const others = isLate ? ['and no time for others'] : names.length === 0 ? ['no test runs it'] : []
    console.log(`    ${by ?? [...names, ...others].join(', ')}`)
  })
  console.log(`\nseed ${seed}: caught ${caught} of ${mutations.length} lines`)
  return caught >= mutations.length * 0.95
}

/** Tests of what is shipped are left out: they need the project itself, and do not pass in a copy. */
function isTest(file) {
  return file.endsWith('.test.js') && file.startsWith(values.tests) && !file.startsWith('test/deploy/')
}

/** Returns the runs of test files: some run a second time, in the slow lane of HTTP. */
function testsWithLanes(texts, files) {
  return files.flatMap((file) => [
    { name: file, file, env: {} },
    ...(isForSlowLane(file, texts.get(file))
      ? [{ name: `${file} (slow lane)`, file, env: { TEST_FAST_LANE: 'off' } }]
      : []),
  ])
}

/** Returns the tests that run the line: near ones first, then those that run much of its file in little time. */
function testsOf(texts, unchanged, mutation) {
  const place = compiledFile(mutation)
  const nearest = nearestTests(texts, mutation.file)
  const isNear = new Set(nearest.filter((test) => test.isNear).map(({ file }) => file))
  const tests = testsWithLanes(
    texts,
    nearest.map(({ file }) => file),
  ).flatMap((test) => {
    const { usualMs, parts } = unchanged.of(test) ?? {}
    const ranges = parts?.[place] ?? []
    const runs = ranges.some(([start, end]) => start <= mutation.offset && mutation.offset < end)
    const length = ranges.reduce((sum, [start, end]) => sum + end - start, 0)
    return runs ? [{ ...test, usualMs, worth: length / (usualMs + 1_000) }] : []
  })
  return [
    ...tests.filter(({ file }) => isNear.has(file)),
    ...tests.filter(({ file }) => !isNear.has(file)).sort((a, b) => b.worth - a.worth),
  ]
}

/** Draws lines, and for each of them a change that compiles. Lines without one are drawn again. */
async function draw(texts, random) {
  const byLine = new Map()
  for (const entry of (await readdir(join(project, 'src'), { recursive: true })).sort()) {
    if (!entry.endsWith('.ts') || entry.endsWith('.d.ts')) continue
    const file = `src/${entry.replaceAll('\\', '/')}`
    if (!file.startsWith(values.under)) continue
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
    const checks = typeChecks(project, candidates.flat())
    const compiling = []
    for (const changes of candidates) {
      const checked = changes.map((change) => ({ ...change, ...checks.shift() }))
      const change = checked.find(({ error }) => error === undefined)
      if (change) compiling.push(change)
    }
    drawn.push(...(await effective(texts, withoutBreaking(compiling))))
  }
  return drawn.slice(0, lineCount)
}

/** Returns those changes that cause no errors in other files. */
function withoutBreaking(changes) {
  const suspects = changes.filter(({ changesTypes }) => changesTypes)
  const bad = new Set()
  // Texts of one file cannot be in place together.
  while (suspects.length > 0) {
    const files = new Set()
    const together = suspects.filter(({ file }) => !files.has(file) && files.add(file))
    for (const change of breakingTexts(project, together)) bad.add(change)
    for (const change of together) suspects.splice(suspects.indexOf(change), 1)
  }
  return changes.filter((change) => !bad.has(change))
}

/** Returns those changes that change the compiled text, with the place where they do. */
async function effective(texts, changes) {
  const placed = []
  for (const change of changes) {
    const changed = await transpiled(change.file, change.text)
    const offset = firstDifference(texts.get(compiledFile(change)), changed)
    if (offset !== undefined) placed.push({ ...change, offset })
  }
  return placed
}

function compiledFile({ file }) {
  return file.replace(/\.ts$/, '.js')
}

/** Returns the place of the first difference between two texts; undefined if they are the same. */
function firstDifference(a, b) {
  if (a === b) return undefined
  let offset = 0
  while (a[offset] === b[offset]) offset++
  return offset
}

/** Returns the failure that shows the change, if any, the tests that were run, and true if there was no time for all. */
async function tryIn(work, copy, tests, { file, text }) {
  const tried = []
  const deadlineMs = performance.now() + seconds * 1_000
  await replaceFile(copy, file, text)
  try {
    for (const test of tests) {
      if (performance.now() > deadlineMs) return { tried, isLate: true }
      tried.push(test)
      const options = { timeoutMs: patienceMs + 4 * test.usualMs }
      const failure = await run(work, copy, test, options)
      // A test with servers and processes may have failed by chance.
      const isSure = failure && (failure.isTimeout || test.file.startsWith('test/unit/'))
      if (isSure || (failure && (await run(work, copy, test, options))))
        return { failure: { ...failure, name: test.name }, tried }
    }
    return { tried }
  } finally {
    await restoreFile(copy, work.unchanged, file)
  }
}

/** Returns the folder for temporary files of the tests. */
function temporaryIn({ path }) {
  return join(path, 'tmp')
}

function run(work, folder, { file, env }, { timeoutMs, env: more = {} }) {
  return failureOf(folder, file, {
    untilFirstFailure: true,
    timeoutMs,
    nodeArgs: ofTests,
    env: { TAP_TIMEOUT: '0', ...work.environment, TMPDIR: temporaryIn(work), ...env, ...more },
  })
}
