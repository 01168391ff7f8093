import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { transformSync } from 'esbuild'
import t from 'tap'

/** Everything that starts a PostgreSQL server imports this file. */
const server = 'src/dev/local-postgres.ts'

const known = new Map<string, string[]>()

/** Returns the files of the project that a file loads when it runs. Types are not loaded. */
function loadedBy(file: string): string[] {
  const before = known.get(file)
  if (before) return before
  const { code: source } = transformSync(readFileSync(file, 'utf8'), {
    loader: 'ts',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  const loaded = [...source.matchAll(/^(?:import|export|\} from)\b[^'"]*['"](\.[^'"]+)\.js['"]/gm)].map(
    ([, path = '']) => posix.join(posix.dirname(file), `${path}.ts`),
  )
  known.set(file, loaded)
  return loaded
}

/** Returns the chain of imports from a file to the server; undefined if there is none. */
function chainToServer(file: string, seen = new Set<string>()): string[] | undefined {
  if (file === server) return [file]
  if (seen.has(file)) return undefined
  seen.add(file)
  for (const next of loadedBy(file)) {
    const chain = chainToServer(next, seen)
    if (chain) return [file, ...chain]
  }
  return undefined
}

t.test('no unit test can start a PostgreSQL server', async (t) => {
  const files = readdirSync('test/unit', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `test/unit/${name.replaceAll('\\', '/')}`)
  t.ok(files.length > 50)
  t.strictSame(
    files.flatMap((file) => chainToServer(file)?.join(' -> ') ?? []),
    [],
  )
})

t.test('a test that can is found, with the chain of its imports', async (t) => {
  t.strictSame(chainToServer('test/integration/postgres/recent-keys.test.ts')?.slice(-3), [
    'test/support/database.ts',
    'test/support/shared-server.ts',
    server,
  ])
})
