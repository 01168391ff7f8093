import { createRequire } from 'node:module'
import type { Manifest } from './manifests.js'

const require = createRequire(import.meta.url)

/** Packages with a model for every kind, by group; the first has all of Kubernetes' own. */
const packages: Readonly<Record<string, string>> = {
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
}

export function modelModule({ apiVersion, kind }: Manifest['resource']): string {
  const group = apiVersion.includes('/') ? (apiVersion.split('/')[0] as string) : ''
  return `${packages[group] ?? 'kubernetes-models'}/${apiVersion}/${kind}`
}

interface Model {
  validate(): void
}

interface InvalidModel {
  readonly errors?: readonly {
    readonly instancePath: string
    readonly keyword: string
    readonly message: string
  }[]
}

/**
 * Returns the errors of the OpenAPI schema: types, required fields, enumerations, patterns. It lets pass any field
 * that it does not know.
 */
export function modelErrors({ resource, isPatch }: Manifest): string[] {
  let model: Model
  try {
    const module = require(modelModule(resource)) as Record<string, new (data: unknown) => Model>
    model = new (module[resource.kind] as new (data: unknown) => Model)(resource)
  } catch {
    return [`there is no ${resource.kind} in ${resource.apiVersion}`]
  }
  try {
    model.validate()
    return []
  } catch (error) {
    const { errors } = error as InvalidModel
    if (errors === undefined) throw error
    return errors
      .filter(({ keyword }) => !(isPatch && keyword === 'required'))
      .map(({ instancePath, message }) => `${instancePath} ${message}`)
  }
}
