/**
 * Puts each mutant of mutants.mjs, one at a time, into a copy of the project and requires that a test fails. A mutant
 * that survives is a hole in the suite, and so is one that does not compile: it would fail whatever the tests say. The
 * mistakes of the design are caught twice: by the property test alone, and by the others without it.
 *
 * Sources and tests are transpiled once, and the files of tests run as what they are: plain programs that exit 1 on
 * failure. Those that need a database share one server.
 *
 *   node test/mutants/run.mjs            all of them
 *   node test/mutants/run.mjs token      those with `token` in their name
 */
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { mutants } from './mutants.mjs'
import { typeErrors } from './type-check.mjs'

const project = fileURLToPath(new URL('../..', import.meta.url))
const folders = ['src', 'test']
const statementsCheck = 'test/mutants/statements-check.js'
const coreFolder = 'test/unit/core/'
const jobs = Math.max(2, availableParallelism())
const fileTimeoutSeconds = 120

const chosen = mutants.filter(({ name }) => name.includes(process.argv[2] ?? ''))
const work = await mkdtemp(join(tmpdir(), 'mutants-'))
let server
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => end().then(() => process.exit(1)))
try {
  process.exitCode = (await main()) ? 0 : 1
} finally {
  await end()
}

async function end() {
  await server?.end()
  await rm(work, { recursive: true, force: true })
}

async function main() {
  const applied = await Promise.all(chosen.map(async (mutant) => ({ mutant, text: await mutated(mutant) })))
  const useless = uselessOf(applied)
  if (useless.length > 0) {
    for (const line of useless) console.error(`${line}\n`)
    return false
  }

  const { transpiled, tests } = await transpileAll()
  const trials = applied.flatMap(({ mutant, text }) =>
    trialsOf(mutant, tests).map((runs) => ({ mutant, text, runs })),
  )
  if (trials.some(({ runs }) => runs.some(needsServer))) await startServer(transpiled)

  const failure = await baselineFailure(transpiled, trials)
  if (failure) {
    console.error(`without a mutant it fails already: ${failure.file}: ${failure.test}\n${failure.output}`)
    return false
  }

  const queue = [...trials].sort((a, b) => b.runs.some(needsServer) - a.runs.some(needsServer))
  await Promise.all(
    Array.from({ length: jobs }, async (_, index) => {
      const copy = join(work, `copy ${index}`)
      await cp(transpiled, copy, { recursive: true })
      for (let trial = queue.shift(); trial; trial = queue.shift()) {
        const startedMs = performance.now()
        trial.failure = await tryIn(copy, trial)
        await cp(
          join(transpiled, compiledName(trial.mutant.file)),
          join(copy, compiledName(trial.mutant.file)),
        )
        trial.tookMs = performance.now() - startedMs
      }
    }),
  )

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

async function startServer(transpiled) {
  const { temporaryServer } = await import(join(transpiled, 'test/support/shared-server.js'))
  server = await temporaryServer()
}

/** Returns the first failure without a mutant among all runs. */
async function baselineFailure(transpiled, trials) {
  const runs = new Map(trials.flatMap((trial) => trial.runs).map((run) => [`${run.file} ${run.tests}`, run]))
  if (trials.some(({ mutant }) => isStatement(mutant))) runs.set('statements', { file: statementsCheck })
  const queue = [...runs.values()].sort((a, b) => nameOf(b.file).localeCompare(nameOf(a.file)))
  let failure
  await Promise.all(
    Array.from({ length: jobs }, async () => {
      for (let run = queue.shift(); run && !failure; run = queue.shift()) {
        const found = await failureOf(transpiled, run, { isMutant: false })
        failure ??= found
      }
    }),
  )
  return failure
}

/** The first failure, in a copy that has the mutant. */
async function tryIn(copy, { mutant, text, runs }) {
  await writeFile(join(copy, compiledName(mutant.file)), compiled(text, mutant.file))
  const noStatement = isStatement(mutant) && (await failureOf(copy, { file: statementsCheck }))
  if (noStatement) return { ...noStatement, test: undefined }
  for (const run of runs) {
    const failure = await failureOf(copy, run)
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

/** A folder that looks like the project as far as Node is concerned, and the paths of the core's tests. */
async function transpileAll() {
  const transpiled = join(work, 'unchanged')
  const tests = []
  for (const folder of folders) {
    for (const entry of await readdir(join(project, folder), { recursive: true })) {
      if (!entry.endsWith('.ts') || entry.endsWith('.d.ts')) continue
      const file = join(folder, entry)
      const target = join(transpiled, compiledName(file))
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, compiled(await readFile(join(project, file), 'utf8'), file))
      if (file.endsWith('.test.ts')) tests.push(compiledName(file).replaceAll('\\', '/'))
    }
  }
  await cp(join(project, 'sql'), join(transpiled, 'sql'), { recursive: true })
  await cp(join(project, 'package.json'), join(transpiled, 'package.json'))
  await symlink(join(project, 'node_modules'), join(work, 'node_modules'), 'dir')
  return { transpiled, tests }
}

function compiledName(file) {
  return file.replace(/\.ts$/, '.js')
}

function compiled(text, fileName) {
  if (!fileName.endsWith('.ts')) return text
  return ts.transpileModule(text, {
    fileName,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  }).outputText
}

/**
 * Returns the output of the run if it fails, and undefined if it passes. `test` is the first test that failed, if
 * any.
 */
function failureOf(folder, { file, tests }, { isMutant } = { isMutant: true }) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], {
      cwd: folder,
      env: {
        ...process.env,
        TAP_BAIL: '0',
        TAP_DIAG: '0',
        // A run that does not end has not caught the mutant.
        TAP_TIMEOUT: '0',
        ...(isMutant && { PROPERTY_RUNS: '10000' }),
        ...(tests && { TAP_GREP: tests }),
        ...(server && { TEST_DATABASE_URL: server.server.url() }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: fileTimeoutSeconds * 1_000,
    })
    let output = ''
    const onOutput = (chunk) => {
      output += chunk
      // The core's tests leave nothing behind: the first that fails is enough.
      if (!needsServer({ file }) && firstFailure(output)) child.kill()
    }
    child.stdout.on('data', onOutput)
    child.stderr.on('data', onOutput)
    child.on('error', reject)
    child.on('close', (code) =>
      resolve(code === 0 ? undefined : { file, output, test: firstFailure(output) }),
    )
  })
}

/** Returns the title of the first top-level test that failed in a TAP report. */
function firstFailure(output) {
  const name = output.match(/^not ok \d+ - (.*)\n/m)?.[1]?.replace(/ # time=.*$/, '')
  return name?.replaceAll('\\', '')
}
