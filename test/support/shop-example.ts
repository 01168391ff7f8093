import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { inheritedVariables } from './child-process.js'
import type { Owner } from './database.js'
import { eventually } from './eventually.js'

const project = fileURLToPath(new URL('../../', import.meta.url))

/** Copies the example shop to a folder in which its packages are installed: the client from the sources. */
export async function installedShop(t: Owner): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-shop-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await cp(join(project, 'examples', 'shop'), folder, { recursive: true })
  const packages = join(folder, 'node_modules')
  const client = join(packages, '@caching-layer', 'client')
  await mkdir(client, { recursive: true })
  for (const name of ['koa', 'pg']) await symlink(join(project, 'node_modules', name), join(packages, name))
  await writeFile(join(client, 'package.json'), '{"type":"module","exports":"./index.js"}')
  await build({
    stdin: {
      contents: "export * from './clients/node/src/index.js'",
      loader: 'ts',
      resolveDir: project,
    },
    outfile: join(client, 'index.js'),
    bundle: true,
    platform: 'node',
    format: 'esm',
  })
  return folder
}

/** A process of the shop. */
export interface Shop {
  readonly url: string
  /** Sends SIGKILL. Resolves when the process has ended. */
  kill(): Promise<void>
}

/** Starts the shop. Resolves when it answers. */
export async function startShop(
  t: Owner,
  folder: string,
  environment: Readonly<Record<string, string>>,
): Promise<Shop> {
  const child = spawn(process.execPath, [join(folder, 'shop.mjs')], {
    env: { ...inheritedVariables(), PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const kill = () => {
    child.kill('SIGKILL')
    return ended
  }
  t.teardown(kill)
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (piece) => {
    text += piece
  })
  await eventually(() => child.exitCode !== null || text.includes('\n'))
  const [url] = /http:\S+(?=\/\n)/.exec(text) ?? []
  if (url === undefined) throw new Error(`the shop does not serve: ${text}`)
  return { url, kill }
}
