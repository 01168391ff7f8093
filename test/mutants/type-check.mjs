import { dirname, join } from 'node:path'
import ts from 'typescript'

/**
 * Returns, for each text, the first error that the compiler finds in it when it takes the place of its file; undefined
 * where it finds none.
 *
 * All texts are checked in one program, each as another file beside its own: a program for each would take a second.
 *
 * @param {string} project the folder of the project, with `test/tsconfig.json`
 * @param {readonly { readonly file: string, readonly text: string }[]} changed files relative to the project
 * @returns {(string | undefined)[]}
 */
export function typeErrors(project, changed) {
  const texts = new Map(changed.map(({ file, text }, index) => [besides(project, file, index), text]))
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(project, 'test/tsconfig.json'), ts.sys.readFile).config,
    ts.sys,
    join(project, 'test'),
  )
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile } = host
  host.fileExists = (name) => texts.has(name) || fileExists(name)
  host.readFile = (name) => texts.get(name) ?? readFile(name)
  const program = ts.createProgram([...texts.keys()], options, host)
  return [...texts.keys()].map((name) => {
    const source = program.getSourceFile(name)
    const [error] = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    return error && ts.flattenDiagnosticMessageText(error.messageText, '\n')
  })
}

function besides(project, file, index) {
  return join(project, dirname(file), `mutant-${index}.ts`)
}
