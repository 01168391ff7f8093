/** Builds the page of the operations listener, and that of `dev`, into `dist/ui/`: `node ui/build.mjs`. */
import { cp, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const copied = ['index.html', 'icon.svg', 'try/index.html']

/**
 * Bundles the script and the styles, and copies the rest.
 *
 * @param {string} project folder of the project
 * @param {string} target folder that the page is written to
 */
export async function buildPage(project, target) {
  const source = join(project, 'ui')
  await mkdir(target, { recursive: true })
  await build({
    entryPoints: ['page.ts', 'page.css', 'try/try.ts'].map((name) => join(source, name)),
    outbase: source,
    outdir: target,
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['chrome109', 'firefox115', 'safari16.4'],
    legalComments: 'inline',
  })
  for (const name of copied) await cp(join(source, name), join(target, name))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildPage('.', 'dist/ui')
