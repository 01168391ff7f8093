import { dirname, join } from 'node:path'
import ts from 'typescript'

/**
 * Returns, for each text, the first error that the compiler finds in it when it takes the place of its file, if it finds
 * one, and true if the text may cause errors in files that load it, because what it exports has other types.
 *
 * All texts are checked in one program, each as another file beside its own: a program for each would take a second.
 *
 * @param {string} project the folder of the project, with `test/tsconfig.json`
 * @param {readonly { readonly file: string, readonly text: string }[]} changed files relative to the project
 * @returns {{ error: string | undefined, changesTypes: boolean }[]}
 */
export function typeChecks(project, changed) {
  const original = ({ file }) => join(project, file)
  const options = { noEmit: false, declaration: true, emitDeclarationOnly: true }
  const { program, names } = programOf(project, changed, [...new Set(changed.map(original))], options)
  const declared = (name) => {
    let text
    program.emit(program.getSourceFile(name), (_, emitted) => (text = emitted), undefined, true)
    return text
  }
  return names.map((name, index) => {
    const error = firstError(program, name)
    return { error, changesTypes: !error && declared(name) !== declared(original(changed[index])) }
  })
}

/**
 * Returns those of the texts that cause errors in other files of `src/`. All are put in place at once, because a check of
 * all files takes seconds, and by halves if there are errors.
 *
 * @param {readonly { readonly file: string, readonly text: string }[]} changed of different files
 */
export function breakingTexts(project, changed) {
  if (changed.length === 0) return []
  if (!hasErrors(project, changed)) return []
  if (changed.length === 1) return changed
  const half = changed.length >> 1
  return [changed.slice(0, half), changed.slice(half)].flatMap((part) => breakingTexts(project, part))
}

function hasErrors(project, changed) {
  const { options, fileNames } = configured(project)
  const sources = fileNames.filter((name) => name.startsWith(join(project, 'src/')))
  const texts = new Map(changed.map(({ file, text }) => [join(project, file), text]))
  const host = ts.createCompilerHost(options)
  const { readFile } = host
  host.readFile = (name) => texts.get(name) ?? readFile(name)
  const program = ts.createProgram(sources, options, host)
  return sources.some((name) => firstError(program, name) !== undefined)
}

/** Makes a program of some files of the project, and of the texts, whose names it returns as well. */
function programOf(project, changed, fileNames, more) {
  const texts = new Map(changed.map(({ file, text }, index) => [besides(project, file, index), text]))
  const names = [...texts.keys()]
  const options = { ...configured(project).options, ...more }
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile } = host
  host.fileExists = (name) => texts.has(name) || fileExists(name)
  host.readFile = (name) => texts.get(name) ?? readFile(name)
  return { program: ts.createProgram([...fileNames, ...names], options, host), names }
}

function configured(project) {
  return ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(project, 'test/tsconfig.json'), ts.sys.readFile).config,
    ts.sys,
    join(project, 'test'),
  )
}

function firstError(program, name) {
  const source = program.getSourceFile(name)
  const [error] = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
  return error && ts.flattenDiagnosticMessageText(error.messageText, '\n')
}

function besides(project, file, index) {
  return join(project, dirname(file), `mutant-${index}.ts`)
}
