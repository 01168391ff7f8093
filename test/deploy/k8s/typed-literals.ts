import { join } from 'node:path'
import ts from 'typescript'
import type { Manifest } from './manifests.js'
import { modelModule } from './models.js'

const options: ts.CompilerOptions = {
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  types: [],
}

/**
 * Returns the compiler's errors about each manifest as a literal of its type: fields that do not exist, above all,
 * and values out of a closed set. One program for all of them, since the types are what takes the time. Manifests of
 * a kind that has no type are left to the models.
 */
export function typeErrors(manifests: readonly Manifest[]): ReadonlyMap<Manifest, readonly string[]> {
  const files = new Map(manifests.map((manifest, number) => [join(process.cwd(), `${number}.ts`), manifest]))
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists, getSourceFile } = host
  const textOf = (path: string) => {
    const manifest = files.get(path)
    return manifest && asLiteral(manifest)
  }
  host.readFile = (path) => textOf(path) ?? readFile(path)
  host.fileExists = (path) => files.has(path) || fileExists(path)
  host.getSourceFile = (path, language, ...rest) => {
    const text = textOf(path)
    return text === undefined
      ? getSourceFile(path, language, ...rest)
      : ts.createSourceFile(path, text, language, true)
  }
  const program = ts.createProgram([...files.keys()], options, host)
  return new Map(
    [...files].map(([path, manifest]) => {
      const source = program.getSourceFile(path)
      return [manifest, program.getSemanticDiagnostics(source).filter(isOfTheLiteral).map(inWords)]
    }),
  )
}

function asLiteral({ resource, isPatch }: Manifest): string {
  const type = `I${resource.kind}`
  return `import type { ${type} } from '${modelModule(resource)}'
type Part<T> = { [K in keyof T]?: Part<T[K]> | null }
export const manifest: ${isPatch ? `Part<${type}>` : type} = ${JSON.stringify(resource, null, 2)}
`
}

const moduleNotFound = 2307

const isOfTheLiteral = ({ code }: ts.Diagnostic) => code !== moduleNotFound

function inWords({ messageText, file, start }: ts.Diagnostic): string {
  const line = file?.text.slice(start).split('\n')[0]
  return `${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ').split(/\s{2,}/)[0]}`
}
