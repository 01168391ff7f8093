import { readFileSync } from 'node:fs'
import { parseAllDocuments } from 'yaml'
import { parseDockerfile } from '../deploy/image/dockerfile.js'

/** Names of the settings that bound memory. */
const ofMemory = ['NODE_OPTIONS', 'CACHE_CAPACITY', 'CACHE_MAX_BYTES', 'CACHE_MEMORY_BYTES']

interface SidecarPatch {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly initContainers: readonly {
          readonly env: readonly { readonly name: string; readonly value?: string }[]
        }[]
      }
    }
  }
}

/** Returns the environment by which the image and the Kubernetes manifests bound memory. */
export function shippedSettings(): Readonly<Record<string, string>> {
  const settings: Record<string, string> = {}
  const image = parseDockerfile(readFileSync('Dockerfile', 'utf8')).at(-1)
  for (const { instruction, rest } of image?.steps ?? []) {
    if (instruction !== 'ENV') continue
    for (const pair of rest.split(/\s+/)) {
      const [name = '', value = ''] = pair.split('=')
      if (name.startsWith('MALLOC_')) settings[name] = value
    }
  }
  for (const document of parseAllDocuments(readFileSync('k8s/components/sidecar/sidecar.yaml', 'utf8'))) {
    for (const container of (document.toJS() as SidecarPatch).spec.template.spec.initContainers)
      for (const { name, value } of container.env)
        if (ofMemory.includes(name) && value !== undefined) settings[name] = value
  }
  return settings
}
