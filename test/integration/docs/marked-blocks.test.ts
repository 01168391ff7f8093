/**
 * Runs the blocks of all pages that are marked with `run`, such as a block that begins with three backticks and `sh run`.
 * The blocks of shell of a page are one script, so that a block can use what one before it has set.
 */
import { execFile, spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { DevServer } from '../../../src/dev/dev-server.js'
import { cacheDatabase, type FreshDatabase } from '../../support/database.js'
import { freePorts } from '../../support/free-ports.js'
import { type Block, blocksOf, commandsIn } from '../../support/markdown-blocks.js'
import { shell } from '../../support/shell.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Parts of commands that take long, and those that are run instead. */
const shortened = [
  ['--minutes=5', '--minutes=0.05'],
  ['--keys zipf:100000 --rate 5000 --duration 10', '--keys zipf:100 --rate 100 --duration 1'],
] as const

interface Program {
  readonly command: readonly string[]
  /** Name of the file that gets the text. */
  readonly file: string
}

/** Ways to run programs, by the language of their block. */
const programs: Readonly<Record<string, Program>> = {
  js: { command: [process.execPath], file: 'program.mjs' },
  python: { command: ['python3'], file: 'program.py' },
  go: { command: ['go', 'run'], file: 'program.go' },
}

const files = (await readdir('docs', { recursive: true })).filter((name) => name.endsWith('.md')).sort()
let commandsRun = 0

for (const file of files) {
  const blocks = blocksOf(await readFile(join('docs', file), 'utf8'))
  const marked = blocks.filter(({ marks }) => marks.includes('run'))
  if (marked.length === 0) continue
  const of = (...languages: readonly string[]) =>
    marked.filter(({ language }) => languages.includes(language))
  t.test(`what docs/${file} marks to be run`, async (t) => {
    const known = of('sql', 'sh', ...Object.keys(programs))
    t.same(
      marked.filter((block) => !known.includes(block)),
      [],
      'there is a way to run each block',
    )
    const surroundings = await startSurroundings(t)
    for (const { text } of of('sql')) {
      await surroundings.query(text)
      commandsRun++
    }
    await runScripts(t, of('sh'), blocks, surroundings)
    // Each begins with an empty cache.
    for (const block of of(...Object.keys(programs)))
      await runProgram(t, block, blocks, await startSurroundings(t))
  })
}

t.test('the number of commands', async (t) => {
  t.ok(commandsRun > 0)
  t.comment(`${commandsRun} commands and programs of the pages were run`)
})

interface Surroundings {
  readonly databaseUrl: string
  readonly query: FreshDatabase['query']
  /** Puts the addresses of this test, and short durations, into a text. */
  readonly adapted: (text: string) => string
}

/** Starts what `npm run dev` starts: two sidecars, and a server that runs SQL. */
async function startSurroundings(t: Test): Promise<Surroundings> {
  const { url, query } = await cacheDatabase(t)
  const one = await startLiveSidecar(t, { databaseUrl: url })
  const other = await startLiveSidecar(t, { databaseUrl: url })
  const port = await freePorts(1)
  const sql = new DevServer({ port, databaseUrl: url, sidecars: [], isSample: false })
  await sql.listen()
  t.teardown(() => sql.close())
  const here = [
    ['http://127.0.0.1:8025', one.client.base],
    ['http://127.0.0.1:8026', other.client.base],
    ['http://127.0.0.1:8027', `http://127.0.0.1:${port}`],
    ['http://127.0.0.1:9025', one.ops.base],
    ['http://127.0.0.1:9026', other.ops.base],
    ['postgresql://sidecar@db.internal/cache_db', url],
    ...shortened,
  ] as const
  const adapted = (text: string) => here.reduce((all, [said, used]) => all.replaceAll(said, used), text)
  return { databaseUrl: url, query, adapted }
}

const separator = '--- the next block ---\n'

async function runScripts(
  t: Test,
  scripts: readonly Block[],
  blocks: readonly Block[],
  { adapted, databaseUrl }: Surroundings,
): Promise<void> {
  if (scripts.length === 0) return
  const texts = scripts.map(({ text }) => `${adapted(text)}printf '%s' '${separator}'`)
  const script = `cd '${t.testdir({})}'\nset -e\n${texts.join('\n')}`
  const { code, stdout, stderr } = await shell(t, script, { DATABASE_URL: databaseUrl })
  t.equal(code, 0, stderr)
  const printed = stdout.split(separator)
  for (const [index, block] of scripts.entries()) {
    commandsRun += commandsIn(block.text)
    if (block.marks.includes('prints'))
      t.equal(printed[index], outputAfter(block, blocks), `line ${block.line}`)
  }
}

async function runProgram(
  t: Test,
  block: Block,
  blocks: readonly Block[],
  { adapted }: Surroundings,
): Promise<void> {
  const { command, file } = programs[block.language] as Program
  const [program = '', ...args] = command
  if (spawnSync(program, ['--help'], { stdio: 'ignore' }).error) {
    t.comment(`not run: ${program} is not installed (line ${block.line})`)
    return
  }
  const path = join(t.testdir({}), file)
  await writeFile(path, adapted(block.text))
  // Without what the test runner puts into every Node. Go needs a folder for its cache.
  const env = { HOME: tmpdir(), ...process.env, NODE_OPTIONS: undefined }
  const { stdout } = await promisify(execFile)(program, [...args, path], { env })
  commandsRun++
  if (block.marks.includes('prints')) t.equal(stdout, outputAfter(block, blocks), `line ${block.line}`)
}

/** Returns the text of the block after this one. */
function outputAfter(block: Block, blocks: readonly Block[]): string | undefined {
  return blocks[blocks.indexOf(block) + 1]?.text
}
