import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { CannotRun } from '../check-list.js'

const run = promisify(execFile)
const installTimeoutMs = 300_000

/** Returns true for what npm and podman say if the registry cannot be reached, or if disk or memory are full. */
export const isOfMachine = (text: string) =>
  /\b(ENOTFOUND|EAI_AGAIN|ETIMEDOUT|ECONNREFUSED|ECONNRESET|ENOTCACHED|ERR_SOCKET_TIMEOUT|E5\d\d|ENETUNREACH|ENOSPC|ENOMEM|no space left on device|signal: killed)\b/.test(
    text,
  )

/**
 * Installs packages below `folder`, without their scripts. Resolves to their folder `node_modules`. Throws CannotRun if
 * the registry cannot be reached.
 */
export async function installPackages(folder: string, packages: readonly string[]): Promise<string> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{"private":true}')
  const args = [
    'install',
    '--no-save',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--prefer-offline',
    '--legacy-peer-deps',
  ]
  try {
    await run('npm', [...args, ...packages], { cwd: folder, timeout: installTimeoutMs })
  } catch (error) {
    const { stderr = '', killed } = error as { readonly stderr?: string; readonly killed?: boolean }
    if (killed || isOfMachine(stderr))
      throw new CannotRun(`npm cannot install ${packages.join(' and ')}: ${stderr.split('\n')[0]}`)
    throw error
  }
  return join(folder, 'node_modules')
}

/**
 * Returns the options of a build with which npm in it uses this machine's registry, authorities and cache. They are
 * mounted, so no layer contains them.
 */
export async function npmVolumes(folder: string): Promise<string[]> {
  const setting = async (name: string) => {
    const { stdout } = await run('npm', ['config', 'get', name])
    return ['null', 'undefined', ''].includes(stdout.trim()) ? undefined : stdout.trim()
  }
  const [registry, cafile, cache] = await Promise.all(['registry', 'cafile', 'cache'].map(setting))
  const lines = ['audit=false', 'fund=false', 'update-notifier=false', 'prefer-offline=true']
  const volumes: string[] = []
  if (registry !== undefined) lines.push(`registry=${registry}`)
  if (cafile !== undefined && existsSync(cafile)) {
    lines.push('cafile=/run/authorities.crt')
    volumes.push(`${cafile}:/run/authorities.crt:ro`)
  }
  if (cache !== undefined && existsSync(cache)) {
    lines.push('cache=/run/npm-cache')
    volumes.push(`${cache}:/run/npm-cache`)
  }
  const npmrc = join(folder, 'npmrc')
  await writeFile(npmrc, `${lines.join('\n')}\n`)
  volumes.push(`${npmrc}:/root/.npmrc:ro`)
  return volumes.flatMap((volume) => ['--volume', volume])
}
