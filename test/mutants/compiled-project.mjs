import { copyFile, cp, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { transform } from 'esbuild'
import { buildPage } from '../../ui/build.mjs'
import { linkPackages } from './linked-packages.mjs'

/** Folders whose files may be replaced in the copy. Everything else is linked. */
export const copiedFolders = ['src', 'sql', 'test', 'scripts', 'bench', 'clients', 'ui']
/** Files that a build or an installation of a client has made. */
const isBuilt = /\/(dist|node_modules)\//
/** Tests write to .tap. */
const leftOut = new Set(['.git', '.tap', 'dist', 'node_modules', ...copiedFolders])

/**
 * Makes a folder that looks like the project, with every TypeScript file transpiled to JavaScript beside it, so that
 * Node runs a test file as a plain program. The sources stay for the tests that read them.
 *
 * @param {string} project
 * @param {string} target a folder that does not exist yet
 * @returns {Promise<Map<string, string>>} the transpiled texts by their paths in the target
 */
export async function compileProject(project, target) {
  await mkdir(target)
  for (const name of await readdir(project))
    if (!leftOut.has(name)) await symlink(join(project, name), join(target, name))
  await linkPackages(join(project, 'node_modules'), join(target, 'node_modules'))
  const files = await filesOf(project)
  const folders = new Set(files.flatMap(placesOf).map((file) => dirname(join(target, file))))
  for (const folder of folders) await mkdir(folder, { recursive: true })
  await Promise.all(files.map((file) => copyFile(join(project, file), join(target, file))))
  const sources = files.filter((file) => file.endsWith('.ts'))
  const compiled = await Promise.all(
    sources.map(async (file) => compiledFiles(file, await readFile(join(project, file), 'utf8'))),
  )
  const texts = new Map(compiled.flat())
  await Promise.all([...texts].map(([place, text]) => writeFile(join(target, place), text)))
  await buildPage(project, join(target, 'dist', 'ui'))
  return texts
}

async function filesOf(project) {
  const entries = await Promise.all(
    copiedFolders.map((folder) => readdir(join(project, folder), { recursive: true, withFileTypes: true })),
  )
  return entries
    .flat()
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(project, join(parentPath, name)).replaceAll('\\', '/'))
    .filter((file) => !isBuilt.test(file) && !file.endsWith('.d.ts'))
}

/** Puts a changed text of a file of the project into a folder that `compileProject` has made. */
export async function replaceFile(target, file, text) {
  for (const [place, compiled] of await compiledFiles(file, text))
    await writeFile(join(target, place), compiled)
}

/** Puts a file back as it is in another of these folders. The project's own may have been edited since. */
export async function restoreFile(target, unchanged, file) {
  for (const place of placesOf(file)) await cp(join(unchanged, place), join(target, place))
}

/**
 * Resolves to what a file of the project becomes: pairs of path and text. A source is in `dist/` too, for tests that start
 * processes.
 */
async function compiledFiles(file, text) {
  const compiled = file.endsWith('.ts') ? await transpiled(file, text) : text
  return placesOf(file).map((place) => [place, compiled])
}

function placesOf(file) {
  const place = file.replace(/\.ts$/, '.js')
  return place.startsWith('src/') ? [place, place.replace(/^src/, 'dist')] : [place]
}

/** Transpiles a source with esbuild, which takes a tenth of the compiler's time. */
export async function transpiled(sourcefile, text) {
  const { code } = await transform(text, {
    sourcefile,
    loader: 'ts',
    target: 'es2023',
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  })
  return code
}
