import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { copiedFolders } from './compiled-project.mjs'

const leftOut = new Set(['.git', '.tap', 'dist'])

/**
 * Runs the compiler once on a copy of the project that has the texts as well, each as another file beside its own.
 *
 * @param {string} project the folder of the project, with `test/tsconfig.json`
 * @param {readonly { readonly file: string, readonly text: string }[]} changed files relative to the project
 * @returns {Promise<{ ofProject: string, ofChanged: (string | undefined)[] }>} what the compiler says about the project,
 *   empty if it finds nothing, and its first error in each text; undefined where it finds none
 */
export async function compilerErrors(project, changed) {
  const folder = await mkdtemp(join(tmpdir(), 'types-'))
  try {
    for (const name of await readdir(project)) {
      const [from, to] = [join(project, name), join(folder, name)]
      if (copiedFolders.includes(name))
        await cp(from, to, { recursive: true, filter: (path) => !/[/\\]dist$/.test(path) })
      else if (!leftOut.has(name)) await symlink(from, to)
    }
    const names = changed.map(({ file }, index) => posix.join(posix.dirname(file), `mutant-${index}.ts`))
    await Promise.all(changed.map(({ text }, index) => writeFile(join(folder, names[index]), text)))
    const report = await reportOf(folder)
    const isChanged = new Set(names)
    const errors = [...report.matchAll(/^(?<name>\S[^(\n]*)\(\d+,\d+\): error (?<error>.*)$/gm)].map(
      ({ groups }) => groups,
    )
    const isOfProject = ({ name }) => !isChanged.has(name)
    return {
      // A report that names no file is about the project.
      ofProject: errors.some(isOfProject) || (report !== '' && errors.length === 0) ? report : '',
      ofChanged: names.map((name) => errors.find((one) => one.name === name)?.error),
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Resolves to the compiler's report, which is empty if it finds nothing. */
function reportOf(folder) {
  const compiler = join(folder, 'node_modules/typescript-native/bin/tsc')
  const args = ['--noEmit', '--pretty', 'false', '-p', 'test']
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [compiler, ...args],
      { cwd: folder, maxBuffer: 1e8 },
      (error, stdout, stderr) => {
        if (error && stdout === '') reject(new Error(`the compiler failed: ${stderr || error.message}`))
        else resolve(stdout)
      },
    )
  })
}
