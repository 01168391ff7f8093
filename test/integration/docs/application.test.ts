/** Runs the applications of docs/tutorial/application.md, one of each language that is installed. */
import { spawn, spawnSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { eventually } from '../../support/eventually.js'
import { blocksOf } from '../../support/markdown-blocks.js'
import { startLiveSidecar } from '../../support/sidecar.js'

const programs = [
  { language: 'js', command: [process.execPath], file: 'app.mjs' },
  { language: 'python', command: ['python3'], file: 'app.py' },
  { language: 'go', command: ['go', 'run'], file: 'app.go' },
] as const

const blocks = blocksOf(await readFile('docs/tutorial/application.md', 'utf8'))

interface Instance {
  readonly base: string
  readonly out: () => string
}

async function start(t: Test, [program, ...args]: readonly string[], cacheUrl: string): Promise<Instance> {
  const child = spawn(program as string, args, {
    // `go run` starts the program as a child of its own.
    detached: true,
    env: { HOME: tmpdir(), ...process.env, NODE_OPTIONS: undefined, CACHE_URL: cacheUrl, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => process.kill(-(child.pid as number), 'SIGKILL'))
  let out = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  // A compiler may have to compile its library first.
  const port = await eventually(() => /listening on port (\d+)/.exec(out)?.[1], { withinMs: 300_000 })
  return { base: `http://127.0.0.1:${port}`, out: () => out }
}

for (const { language, command, file } of programs) {
  const isMissing = spawnSync(command[0], ['--help'], { stdio: 'ignore' }).error !== undefined
  const skip = isMissing ? `${command[0]} is not installed` : false
  t.test(`the application in ${language} computes once, and reads its own writes`, { skip }, async (t) => {
    const found = blocks.filter((block) => block.language === language)
    t.equal(found.length, 1)
    const path = join(t.testdir({}), file)
    await writeFile(path, found[0]?.text ?? '')
    const { url } = await cacheDatabase(t)
    const instances: Instance[] = []
    for (let count = 0; count < 2; count++) {
      const { client } = await startLiveSidecar(t, { databaseUrl: url })
      instances.push(await start(t, [...command, path], client.base))
    }
    const [one, other] = instances as [Instance, Instance]
    const read = async ({ base }: Instance, headers: Readonly<Record<string, string>> = {}) =>
      (await fetch(`${base}/?id=42`, { headers })).json()

    const computed = { id: '42', name: 'user number 42' }
    t.same(
      await Promise.all([one, other, one, other].map((instance) => read(instance))),
      Array(4).fill(computed),
    )
    t.equal(`${one.out()}${other.out()}`.match(/^computing 42$/gm)?.length, 1)

    const renamed = await fetch(`${one.base}/?id=42&name=Ada`, { method: 'POST' })
    const token = renamed.headers.get('Cache-Token')
    t.ok(token)
    t.same(await read(other, { 'Cache-Token': String(token) }), { id: '42', name: 'Ada' })
  })
}

t.test('an application computes while its sidecar cannot be reached', async (t) => {
  const [{ command, file, language }] = programs
  const path = join(t.testdir({}), file)
  await writeFile(path, blocks.find((block) => block.language === language)?.text ?? '')
  const { base } = await start(t, [...command, path], 'http://127.0.0.1:1')
  t.same(await (await fetch(`${base}/?id=7`)).json(), { id: '7', name: 'user number 7' })
})
