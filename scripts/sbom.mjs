/**
 * Prints a CycloneDX list of the packages in the image. It is made from a copy of the lock file without development and
 * optional packages, because `npm sbom --omit dev` also omits packages that production and development share. The clients
 * are packages of their own, and not in the image.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const read = (name) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'))
const {
  devDependencies: _ours,
  optionalDependencies: _oursToo,
  workspaces,
  ...manifest
} = read('package.json')
const lock = read('package-lock.json')
const packages = Object.entries(lock.packages).filter(
  ([path, { dev, devOptional, optional, link }]) =>
    !dev && !devOptional && !optional && !link && !workspaces.includes(path),
)
const {
  devDependencies: _locked,
  optionalDependencies: _lockedToo,
  workspaces: _lockedClients,
  ...root
} = lock.packages['']

const folder = mkdtempSync(join(tmpdir(), 'caching-layer-sbom-'))
try {
  const write = (name, content) => writeFileSync(join(folder, name), JSON.stringify(content))
  write('package.json', manifest)
  write('package-lock.json', { ...lock, packages: { ...Object.fromEntries(packages), '': root } })
  const args = ['sbom', '--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application']
  execFileSync('npm', args, { cwd: folder, stdio: 'inherit', shell: process.platform === 'win32' })
} finally {
  rmSync(folder, { recursive: true })
}
