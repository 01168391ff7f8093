import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import t from 'tap'

const folder = 'clients/node/src'
/** Parts of src/ that the client has in its bundle: the algorithm, the types of bodies, and the clock. */
const shared = /^src\/(core\/|http-api\.ts$|sidecar\/suspend-clock\.ts$)/

/** Returns a line for each import that is neither of the client, nor of a shared part, nor of Node.js. */
function foreignImports(file: string, text: string): string[] {
  return [...text.matchAll(/(?:from|import) '([^']+)'/g)].flatMap(([, module = '']) => {
    const target = posix.join(posix.dirname(file), module).replace(/\.js$/, '.ts')
    const isOwn = module.startsWith('.') && (target.startsWith(`${folder}/`) || shared.test(target))
    return isOwn || module.startsWith('node:') ? [] : [`${file} imports ${module}`]
  })
}

t.test('the client needs nothing but the core and Node.js', async (t) => {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )
  t.ok(files.length > 15)
  t.same(
    files.flatMap((name) => foreignImports(`${folder}/${name}`, readFileSync(`${folder}/${name}`, 'utf8'))),
    [],
  )
})

t.test('an import that it must not have is found', async (t) => {
  const found = (module: string) =>
    foreignImports(`${folder}/near/near.ts`, `import { a } from '${module}'\n`)
  t.same(found('../api.js'), [])
  t.same(found('../../../../src/core/entry.js'), [])
  for (const module of ['koa', '../../../../src/http/server/server.js', '../../../../src/sidecar/sidecar.js'])
    t.equal(found(module).length, 1, module)
})
