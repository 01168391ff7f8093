/**
 * Puts each mutant of mutants.mjs, one at a time, into a copy of the sources and requires that the core suite
 * fails. A mutant that survives is a hole in the suite. The mistakes of the design are caught twice: by the property
 * test alone, and by the others without it.
 *
 * The suite is transpiled once and its files run as what they are: plain programs that exit 1 on failure.
 *
 *   node test/mutants/run.mjs            all of them
 *   node test/mutants/run.mjs token      those with `token` in their name
 */
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { mutants } from './mutants.mjs'

const project = fileURLToPath(new URL('../..', import.meta.url))
const folders = ['src/core', 'test/core', 'test/support']
const jobs = 2
/** As for tap itself, in package.json. */
const fileTimeoutSeconds = 120

const chosen = mutants.filter(({ name }) => name.includes(process.argv[2] ?? ''))
const work = await mkdtemp(join(tmpdir(), 'mutants-'))
try {
  process.exitCode = (await main()) ? 0 : 1
} finally {
  await rm(work, { recursive: true, force: true })
}

async function main() {
  const applied = await Promise.all(chosen.map(async (mutant) => ({ mutant, source: await mutated(mutant) })))
  const stale = applied.filter(({ source }) => source === undefined)
  if (stale.length > 0) {
    for (const { mutant } of stale) {
      console.error(`${mutant.name}: ${mutant.file} no longer has exactly once:\n${mutant.find}\n`)
    }
    return false
  }

  const { transpiled, tests } = await transpileAll()
  const { failure } = await runTests(transpiled, tests, jobs)
  if (failure) {
    console.error(
      `without a mutant the suite fails already: ${failure.file}: ${failure.test}\n${failure.output}`,
    )
    return false
  }

  const trials = applied.flatMap(({ mutant, source }) =>
    trialsOf(mutant, tests).map((files) => ({ mutant, source, files })),
  )
  const queue = [...trials]
  const worker = async (_, index) => {
    const copy = join(work, `copy ${index}`)
    await cp(transpiled, copy, { recursive: true })
    for (let trial = queue.shift(); trial; trial = queue.shift()) {
      const target = compiledName(trial.mutant.file)
      await writeFile(join(copy, target), transpile(trial.source, trial.mutant.file))
      trial.failure = (await runTests(copy, trial.files, 1)).failure
      await cp(join(transpiled, target), join(copy, target))
    }
  }
  await Promise.all(Array.from({ length: jobs }, worker))

  const width = Math.max(...chosen.map(({ name }) => name.length))
  for (const { mutant, files, failure } of trials) {
    const verdict = failure
      ? `${nameOf(failure.file)}: ${failure.test}`
      : `SURVIVED ${files.map(nameOf).join(', ')}`
    console.log(`${mutant.name.padEnd(width)}  ${verdict}`)
  }
  const survivors = trials.filter(({ failure }) => !failure)
  console.log(
    `\n${chosen.length} mutants, caught ${trials.length - survivors.length} of ${trials.length} times`,
  )
  return survivors.length === 0 && trials.length > 0
}

/** The lists of files, in the order to be tried, of which each must catch the mutant. */
function trialsOf({ caughtBy, alsoCaughtBy }, tests) {
  const others = tests.filter((file) => nameOf(file) !== alsoCaughtBy)
  const inOrder = others.sort((a, b) => (nameOf(b) === caughtBy) - (nameOf(a) === caughtBy))
  const alone = tests.filter((file) => nameOf(file) === alsoCaughtBy)
  return alsoCaughtBy ? [inOrder, alone] : [inOrder]
}

function nameOf(file) {
  return basename(file, '.test.js')
}

/** The source with the mutant in it; undefined if its text is not there exactly once. */
async function mutated({ file, find, replace }) {
  const source = await readFile(join(project, file), 'utf8')
  const parts = source.split(find)
  return parts.length === 2 ? parts.join(replace) : undefined
}

/** A folder that looks like the project as far as Node is concerned, and the paths of its tests. */
async function transpileAll() {
  const transpiled = join(work, 'unchanged')
  const tests = []
  for (const folder of folders) {
    for (const entry of await readdir(join(project, folder), { recursive: true })) {
      if (!entry.endsWith('.ts')) continue
      const file = join(folder, entry)
      const target = join(transpiled, compiledName(file))
      await mkdir(dirname(target), { recursive: true })
      await writeFile(target, transpile(await readFile(join(project, file), 'utf8'), file))
      if (file.endsWith('.test.ts')) tests.push(compiledName(file))
    }
  }
  await writeFile(join(work, 'package.json'), '{"type":"module"}')
  await symlink(join(project, 'node_modules'), join(work, 'node_modules'), 'dir')
  return { transpiled, tests }
}

function compiledName(file) {
  return file.replace(/\.ts$/, '.js')
}

function transpile(source, fileName) {
  const { outputText, diagnostics } = ts.transpileModule(source, {
    fileName,
    reportDiagnostics: true,
    compilerOptions: {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  })
  if (diagnostics?.length) {
    throw new Error(`${fileName}: ${ts.flattenDiagnosticMessageText(diagnostics[0].messageText, '\n')}`)
  }
  return outputText
}

/** Runs the files, so many at a time, until one fails. */
async function runTests(folder, files, atOnce) {
  const queue = [...files]
  let failure
  const worker = async () => {
    for (let file = queue.shift(); file && !failure; file = queue.shift()) {
      const { code, output } = await runFile(folder, file)
      if (code !== 0) failure ??= { file, output, test: firstFailure(output) }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return { failure }
}

function runFile(folder, file) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [file], {
      cwd: folder,
      env: { ...process.env, TAP_BAIL: '0', TAP_DIAG: '0', TAP_TIMEOUT: String(fileTimeoutSeconds) },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: fileTimeoutSeconds * 1_000,
    })
    let output = ''
    child.stdout.on('data', (chunk) => (output += chunk))
    child.stderr.on('data', (chunk) => (output += chunk))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}

/** Of a TAP report: the name of the first top-level test that failed. */
function firstFailure(output) {
  const name = output.match(/^not ok \d+ - (.*)$/m)?.[1]?.replace(/ # time=.*$/, '')
  return name?.replaceAll('\\', '') ?? 'did not come to an end'
}
