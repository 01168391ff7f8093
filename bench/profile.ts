import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The part of a .cpuprofile that is looked at. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const shown = 20

/** Arguments for Node, so that a process leaves its profile in the folder when it ends. */
export function profilerOf(folder: string | undefined, name: string): string[] {
  if (folder === undefined) return []
  return ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}-${++count}.cpuprofile`]
}

let count = 0

/** Returns how each process spent its time, without idle time: by part, and by function, without what it called. */
export async function profilesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile')).sort()
  return Promise.all(
    names.map(async (name) => {
      const profile = JSON.parse(await readFile(join(folder, name), 'utf8')) as CpuProfile
      return `${join(folder, name)}\n${summaryOf(profile)}`
    }),
  )
}

function summaryOf({ nodes, samples, timeDeltas }: CpuProfile): string {
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
  const byPart = new Map<string, number>()
  const byFunction = new Map<string, number>()
  let total = 0
  samples.forEach((id, index) => {
    const frame = frames.get(id)
    if (frame === undefined || frame.functionName === '(idle)') return
    const micros = timeDeltas[index] ?? 0
    total += micros
    const place =
      frame.url === '' ? '' : ` ${frame.url.split('/').slice(-3).join('/')}:${frame.lineNumber + 1}`
    add(byPart, partOf(frame.url, frame.functionName), micros)
    add(byFunction, `${frame.functionName || '(anonymous)'}${place}`, micros)
  })
  const lines = (of: ReadonlyMap<string, number>, most: number) =>
    [...of]
      .sort(([, one], [, other]) => other - one)
      .slice(0, most)
      .map(([name, micros]) => `  ${((100 * micros) / total).toFixed(1).padStart(5)} %  ${name}`)
  return [...lines(byPart, shown), '', ...lines(byFunction, shown)].join('\n')
}

function partOf(url: string, functionName: string): string {
  if (url.startsWith('node:')) return 'Node, in JavaScript'
  const dependency = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]
  if (dependency) return dependency
  const own = /\/dist\/(\w+)/.exec(url)?.[1]
  if (own) return `dist/${own}`
  return functionName === '(garbage collector)' ? 'garbage collection' : 'Node and the system, native'
}

function add(to: Map<string, number>, name: string, micros: number): void {
  to.set(name, (to.get(name) ?? 0) + micros)
}
