import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { IContainer } from 'kubernetes-models/v1/Container'
import type { IPodTemplateSpec } from 'kubernetes-models/v1/PodTemplateSpec'
import { parseAllDocuments } from 'yaml'

const run = promisify(execFile)

export interface Resource {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly spec?: Readonly<Record<string, unknown>>
}

export interface Manifest {
  /** File, or what was rendered, with kind and name. */
  readonly where: string
  readonly resource: Resource
  /** Part of a resource: what a patch leaves out is not missing. */
  readonly isPatch: boolean
}

/** Throws at what YAML allows only with a warning, too, and at a key that is there twice. */
export function parseManifests(file: string, text: string, isPatch = false): Manifest[] {
  return parseAllDocuments(text, { strict: true, uniqueKeys: true }).map((document) => {
    const [problem] = [...document.errors, ...document.warnings]
    if (problem) throw new Error(`${file}: ${problem.message}`)
    const resource = document.toJS() as Resource
    return { where: `${file}: ${resource.kind} ${resource.metadata?.name}`, resource, isPatch }
  })
}

/** Every YAML file below a folder, but for those that only kustomize reads: it checks them itself, strictly. */
export async function sourceManifests(folder: string): Promise<Manifest[]> {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith('.yaml')).sort()
  const patches = new Set<string>()
  for (const file of files.filter(isKustomization)) {
    const text = await readFile(join(folder, file), 'utf8')
    for (const [, path = ''] of text.matchAll(/- path: (\S+)/g)) patches.add(join(file, '..', path))
  }
  const read = files
    .filter((file) => !isKustomization(file))
    .map(async (file) => parseManifests(file, await readFile(join(folder, file), 'utf8'), patches.has(file)))
  return (await Promise.all(read)).flat()
}

const isKustomization = (file: string) => file.endsWith('kustomization.yaml')

/** Returns true if kubectl is installed. */
export async function hasKubectl(): Promise<boolean> {
  return run('kubectl', ['version', '--client']).then(
    () => true,
    () => false,
  )
}

/** Returns the resources that `kubectl apply -k` would send to a cluster. */
export async function render(folder: string): Promise<Manifest[]> {
  const { stdout } = await run('kubectl', ['kustomize', folder])
  return parseManifests(folder, stdout)
}

/** Returns the pod template of a resource, if it has one. */
export function podTemplateOf({ kind, spec }: Resource): IPodTemplateSpec | undefined {
  if (kind === 'CronJob') {
    return (spec as { jobTemplate: { spec: { template: IPodTemplateSpec } } }).jobTemplate.spec.template
  }
  return ['Deployment', 'StatefulSet', 'DaemonSet', 'Job'].includes(kind)
    ? (spec as { template: IPodTemplateSpec }).template
    : undefined
}

export function containersOf(template: IPodTemplateSpec): IContainer[] {
  return [...(template.spec?.initContainers ?? []), ...(template.spec?.containers ?? [])]
}
