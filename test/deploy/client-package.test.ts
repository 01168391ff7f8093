import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { checkTypes } from '../support/compilers.js'
import { cacheDatabase } from '../support/database.js'
import { runCommand } from '../support/installed-package.js'
import { startLiveSidecar } from '../support/sidecar.js'

const project = process.cwd()
const folder = await realpath(await mkdtemp(join(tmpdir(), 'caching layer client ')))
t.teardown(() => rm(folder, { recursive: true, force: true }))

const run = (command: string, args: readonly string[], cwd = folder, env = {}) =>
  runCommand(command, args, { cwd, env })

/** Runs a program of the project's packages. */
function runPackage(path: string, args: readonly string[], cwd = folder) {
  return run(process.execPath, [join(project, 'node_modules', path), ...args], cwd)
}

/** Packs a copy of the client in which nothing is built. Returns the path of the file, and the paths in it. */
async function pack() {
  const clone = join(folder, 'clone')
  const isSource = (path: string) => !/\/(dist|node_modules)$/.test(path)
  for (const name of ['src', 'clients', 'package.json', 'tsconfig.json'])
    await cp(join(project, name), join(clone, name), { recursive: true, filter: isSource })
  await symlink(join(project, 'node_modules'), join(clone, 'node_modules'))
  const output = await run(
    'npm',
    ['pack', '--json', '--pack-destination', folder],
    join(clone, 'clients', 'node'),
  )
  const [packed] = JSON.parse(output.slice(output.indexOf('[\n')))
  return {
    file: join(folder, packed.filename),
    paths: packed.files.map(({ path }: { path: string }) => path) as string[],
  }
}

const { file, paths } = await pack()
const application = join(folder, 'an application')
await mkdir(application)
await writeFile(join(application, 'package.json'), '{"type":"module"}')
await run('npm', ['install', '--offline', file], application)

t.test('the package has the program, its types and its texts, and is small', async (t) => {
  t.same(paths.sort(), [
    'LICENSE',
    'README.md',
    'dist/api.d.ts',
    'dist/caching-layer-error.d.ts',
    'dist/create-client.d.ts',
    'dist/index.d.ts',
    'dist/index.js',
    'dist/standard-schema.d.ts',
    'package.json',
  ])
  t.ok((await stat(file)).size < 50_000, 'less than 50 kB')
  const installed = join(application, 'node_modules')
  t.same(
    (await readdir(installed)).filter((name) => !name.startsWith('.')),
    ['@caching-layer'],
    'it brings nothing else',
  )
  const program = await readFile(join(installed, '@caching-layer', 'client', 'dist', 'index.js'), 'utf8')
  const imports = [...program.matchAll(/^import .* from "(.*)";$/gm)].map(([, module]) => module)
  t.ok(imports.length > 0)
  t.same(
    imports.filter((module) => !module?.startsWith('node:')),
    [],
  )
})

t.test('publint finds nothing to improve', async (t) => {
  t.match(await runPackage('publint/src/cli.js', [file, '--strict']), /All good/)
})

t.test('its types are found by every kind of module resolution', async (t) => {
  const cli = '@arethetypeswrong/cli/dist/index.js'
  const { analysis } = JSON.parse(
    await runPackage(cli, [file, '--profile', 'esm-only', '--format', 'json', '--no-definitely-typed']),
  )
  // A module of ECMAScript only, which newer versions of Node.js can require() as well.
  const kinds = new Set(analysis.problems.map(({ kind }: { kind: string }) => kind))
  kinds.delete('CJSResolvesToESM')
  t.same([...kinds], [])
})

t.test('its types are those of the calls', async () => {
  await writeFile(
    join(application, 'types.mts'),
    `import { type CachingLayerError, createClient, type Entry, type StandardSchema } from '@caching-layer/client'
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <A, B>(_: Same<A, B>): void => undefined
const client = createClient({ url: 'http://127.0.0.1:8025', near: { maxEntries: 10, maxBytes: 1_000 } })
interface User {
  readonly name: string
}
declare const schema: StandardSchema<{ readonly name: string }>
export async function types(error: CachingLayerError): Promise<void> {
  const plain = await client.get('k')
  is<typeof plain, unknown>(true)
  const typed = await client.get<number>('k', { consistency: 'strong' })
  is<typeof typed, number | undefined>(true)
  const valid = await client.get('k', { schema })
  is<typeof valid, { readonly name: string } | undefined>(true)
  const entry = await client.getEntry('k', { schema })
  is<typeof entry, Entry<{ readonly name: string }> | undefined>(true)
  const many = await client.getMany(['k'], { schema })
  is<typeof many, Map<string, { readonly name: string }>>(true)
  const computed = await client.getOrCompute('k', async () => 7, { groups: ['g'] })
  is<typeof computed, number>(true)
  const fitting = await client.getOrCompute('k', () => ({ name: 'Ada', more: 1 }), { schema })
  is<typeof fitting, { readonly name: string }>(true)
  const perhaps = await client.getOrCompute('k', async () => (fitting.name === '' ? undefined : 7), { schema })
  is<typeof perhaps, { readonly name: string } | undefined>(true)
  for await (const event of client.watch()) if (event.type === 'change') is<typeof event.isDeleted, boolean>(true)
  is<typeof error.status, number | undefined>(true)
  const user: User = { name: 'Ada' }
  await client.set('k', user)
  await client.set('k', { a: [1] }, { ttlSeconds: 60, signal: AbortSignal.timeout(10) })
  // @ts-expect-error
  await client.set('k', null)
  // @ts-expect-error
  await client.get('k', { consistency: 'weak' })
  // @ts-expect-error
  createClient({})
}
`,
  )
  await checkTypes(application, 'types.mts', ['--exactOptionalPropertyTypes'])
})

t.test('it works as it was installed, and does not keep a process alive', async (t) => {
  const { url: databaseUrl } = await cacheDatabase(t)
  const { client } = await startLiveSidecar(t, { databaseUrl })
  await writeFile(
    join(application, 'use.js'),
    `import { CachingLayerError, createClient } from '@caching-layer/client'
const client = createClient({ url: process.env.URL, near: { maxEntries: 10, maxBytes: 1_000 } })
await client.set('k', { n: 1 })
while (client.near.get('k') === undefined) await client.get('k')
const { entries } = client.near.stats()
const error = await client.set('k', 1, { ifNoneMatch: '*' }).catch((error) => error)
console.log(JSON.stringify([entries, error instanceof CachingLayerError, error.kind]))
`,
  )
  const output = await run(process.execPath, ['use.js'], application, { URL: client.base })
  t.equal(output, '[1,true,"condition-failed"]\n')
})
