import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runNativeCompiler } from '../../support/compilers.js'
import type { Manifest } from './manifests.js'
import { modelModule } from './models.js'

const options = [
  ...['--noEmit', '--pretty', 'false', '--strict', '--skipLibCheck', '--target', 'es2022'],
  ...['--module', 'esnext', '--moduleResolution', 'bundler'],
]

/**
 * Returns the compiler's errors about each manifest as a literal of its type: fields that do not exist, above all,
 * and values out of a closed set. One program for all of them, since the types are what takes the time. Manifests of
 * a kind that has no type are left to the models.
 */
export async function typeErrors(
  manifests: readonly Manifest[],
): Promise<ReadonlyMap<Manifest, readonly string[]>> {
  const folder = await mkdtemp(join(tmpdir(), 'manifests-'))
  try {
    await symlink(join(process.cwd(), 'node_modules'), join(folder, 'node_modules'))
    const texts = manifests.map(asLiteral)
    const names = manifests.map((_, number) => `${number}.ts`)
    await Promise.all(names.map((name, number) => writeFile(join(folder, name), texts[number] ?? '')))
    const report = await reportOf(folder, names)
    const errors = [...report.matchAll(/^(\d+)\.ts\((\d+),(\d+)\): error TS(\d+): (.*)$/gm)]
    const of = (number: number) =>
      errors
        .filter(([, file, , , code]) => Number(file) === number && code !== moduleNotFound)
        .map(([, , line, column, , message]) => {
          const source = texts[number]?.split('\n')[Number(line) - 1]?.slice(Number(column) - 1)
          return `${source}: ${message?.split(/\s{2,}/)[0]}`
        })
    return new Map(manifests.map((manifest, number) => [manifest, of(number)]))
  } finally {
    await rm(folder, { recursive: true })
  }
}

function asLiteral({ resource, isPatch }: Manifest): string {
  const type = `I${resource.kind}`
  return `import type { ${type} } from '${modelModule(resource)}'
type Part<T> = { [K in keyof T]?: Part<T[K]> | null }
export const manifest: ${isPatch ? `Part<${type}>` : type} = ${JSON.stringify(resource, null, 2)}
`
}

const moduleNotFound = '2307'

/** Resolves to the compiler's report. */
async function reportOf(folder: string, names: readonly string[]): Promise<string> {
  try {
    return await runNativeCompiler(folder, [...options, ...names])
  } catch (error) {
    const { stdout } = error as { stdout?: string }
    if (!stdout) throw error
    return stdout
  }
}
