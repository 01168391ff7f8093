/**
 * Builds dist/: one bundle with what it needs of the sidecar's core, and a declaration for each public file. The public
 * files import types from each other only, so that each can be declared by itself.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import ts from 'typescript'

const folder = new URL('../', import.meta.url)
const publicFiles = ['index', 'api', 'caching-layer-error', 'create-client', 'standard-schema']

await rm(new URL('dist', folder), { recursive: true, force: true })
await mkdir(new URL('dist', folder))
await build({
  entryPoints: [fileURLToPath(new URL('src/index.ts', folder))],
  outfile: fileURLToPath(new URL('dist/index.js', folder)),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20.19',
  logLevel: 'warning',
})
for (const name of publicFiles) {
  const fileName = `src/${name}.ts`
  const text = await readFile(new URL(fileName, folder), 'utf8')
  const { outputText, diagnostics = [] } = ts.transpileDeclaration(text, {
    fileName,
    reportDiagnostics: true,
    compilerOptions: { isolatedDeclarations: true, target: ts.ScriptTarget.ES2022 },
  })
  if (diagnostics.length > 0) throw new Error(ts.formatDiagnostics(diagnostics, formatHost()))
  await writeFile(new URL(`dist/${name}.d.ts`, folder), outputText)
}

function formatHost() {
  return { getCurrentDirectory: () => '', getCanonicalFileName: (name) => name, getNewLine: () => '\n' }
}
