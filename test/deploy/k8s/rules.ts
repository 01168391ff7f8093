import type { IContainer } from 'kubernetes-models/v1/Container'
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec'
import { loadConfig } from '../../../src/config/load.js'
import { containersOf, podTemplateOf, type Resource } from './manifests.js'
import { podSecurityViolations } from './pod-security.js'

/**
 * Returns one line for each error between fields or resources, or against our own rules, which neither the schema nor
 * the types can find.
 */
export function brokenRules(resources: readonly Resource[]): string[] {
  return resources.flatMap((resource) =>
    [
      ...apiVersion(resource),
      ...secret(resource),
      ...workload(resource),
      ...disruptionBudget(resource, resources),
      ...autoscaler(resource, resources),
      ...service(resource, resources),
      ...podMonitor(resource, resources),
      ...networkPolicy(resource, resources),
    ].map((problem) => `${resource.kind} ${resource.metadata.name}: ${problem}`),
  )
}

/** Every API version that Kubernetes has removed was alpha or beta. The packages still have models for many. */
function apiVersion({ apiVersion }: Resource): string[] {
  return /^([a-z0-9.-]+\/)?v\d+$/.test(apiVersion) ? [] : [`${apiVersion} is not a stable API version`]
}

function secret({ kind }: Resource): string[] {
  return kind === 'Secret' ? ['secrets are referenced, never part of the manifests'] : []
}

function workload(resource: Resource): string[] {
  const template = podTemplateOf(resource)
  if (template?.spec === undefined) return []
  const pod = template.spec
  const found = podSecurityViolations(pod).map((control) => `not "restricted": ${control}`)
  const all = containersOf(template)

  const { matchLabels = {} } = (resource.spec?.selector ?? {}) as { matchLabels?: Record<string, string> }
  if (!isSubset(matchLabels, template.metadata?.labels))
    found.push('its selector does not match its own pods')

  const wanted = resource.kind === 'Job' || resource.kind === 'CronJob' ? ['Never', 'OnFailure'] : ['Always']
  if (!wanted.includes(pod.restartPolicy ?? 'Always'))
    found.push(`restartPolicy is not ${wanted.join(' or ')}`)
  for (const { name, restartPolicy } of pod.initContainers ?? []) {
    if (restartPolicy !== undefined && restartPolicy !== 'Always') {
      found.push(`${name}: restartPolicy ${restartPolicy}: the only one for an init container is Always`)
    }
  }
  for (const { name, restartPolicy } of pod.containers) {
    if (restartPolicy !== undefined) found.push(`${name}: only init containers have a restartPolicy`)
  }
  if (pod.automountServiceAccountToken !== false)
    found.push('it gets a token of the cluster that it does not need')

  found.push(...duplicates(all.map(({ name }) => name)).map((name) => `two containers named ${name}`))
  const ports = all.flatMap((container) => container.ports ?? [])
  found.push(...duplicates(ports.map((port) => port.name)).map((name) => `two ports named ${name}`))
  found.push(
    ...duplicates(ports.map((port) => port.containerPort)).map((port) => `port ${port} is there twice`),
  )
  const { volumeClaimTemplates: claims = [] } = (resource.spec ?? {}) as {
    volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
  }
  const volumes = new Set([
    ...(pod.volumes ?? []).map(({ name }) => name),
    ...claims.map(({ metadata }) => metadata.name),
  ])
  for (const container of all) {
    found.push(...containerProblems(container, volumes).map((problem) => `${container.name}: ${problem}`))
  }
  const isInjected = resource.metadata.labels?.['caching-layer.dev/inject'] === 'true'
  if (isInjected && !all.some(({ name }) => name === sidecarName))
    found.push('it asks for a sidecar and has none')
  return [...found, ...sidecarProblems(pod)]
}

function containerProblems(container: IContainer, volumes: ReadonlySet<string>): string[] {
  const { image = '', ports = [], env = [], resources, securityContext } = container
  const found: string[] = []
  if (!/(:[\w.-]+|@sha256:[0-9a-f]{64})$/.test(image) || image.endsWith(':latest')) {
    found.push(`image ${image} has neither a tag of its own nor a digest`)
  }
  const { requests = {}, limits = {} } = resources ?? {}
  if (requests.cpu === undefined) found.push('no processor time is requested')
  if (requests.memory === undefined || requests.memory !== limits.memory) {
    found.push('the memory requested is not the limit')
  }
  if (securityContext?.readOnlyRootFilesystem !== true) found.push('its root file system can be written')

  for (const { name = '' } of ports) {
    // IANA_SVC_NAME.
    if (name.length > 15 || !/^(?!.*--)[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(name) || !/[a-z]/.test(name)) {
      found.push(`port name ${name} is not one of 1 to 15 lower-case letters, digits and hyphens`)
    }
  }
  const { livenessProbe, readinessProbe, startupProbe, lifecycle } = container
  const asked = {
    livenessProbe,
    readinessProbe,
    startupProbe,
    preStop: lifecycle?.preStop,
    postStart: lifecycle?.postStart,
  }
  for (const [what, handler] of Object.entries(asked)) {
    for (const port of [handler?.httpGet?.port, handler?.tcpSocket?.port]) {
      if (
        port !== undefined &&
        !ports.some(({ name, containerPort }) => port === name || port === containerPort)
      ) {
        found.push(`${what} asks port ${port}, which is none of the container's`)
      }
    }
  }
  found.push(...duplicates(env.map(({ name }) => name)).map((name) => `${name} is set twice`))
  for (const { name, value } of env) {
    if (value !== undefined && (/PASSWORD|TOKEN|SECRET|KEY$/.test(name) || /:\/\/[^/\s]*@/.test(value))) {
      found.push(`${name} belongs in a secret`)
    }
  }
  for (const { name } of container.volumeMounts ?? []) {
    if (!volumes.has(name)) found.push(`it mounts ${name}, which is no volume of the pod`)
  }
  return found
}

const sidecarName = 'caching-layer'
/** Minimum time in ms that an app needs between its preStop hook and its end. */
const appDrainMs = 10_000
const defaultGraceSeconds = 30
const mebibyte = 1024 ** 2

/** The sidecar of a pod, if it has one: its settings, its place, and the sums that have to add up. */
function sidecarProblems(pod: IPodSpec): string[] {
  const found: string[] = []
  const { initContainers = [], containers } = pod
  const native = initContainers.find(({ name }) => name === sidecarName)
  const sidecar = native ?? containers.find(({ name }) => name === sidecarName)
  if (sidecar === undefined) return found

  if (native && native.restartPolicy !== 'Always')
    found.push('the sidecar would have to end before the app starts')

  const settings = Object.fromEntries((sidecar.env ?? []).map(({ name, value }) => [name, value]))
  const { config, warnings } = loadConfig(settings)
  found.push(...warnings)
  for (const name of ['HOST', 'PORT', 'OPS_HOST', 'OPS_PORT'])
    if (settings[name] === undefined) found.push(`${name} is left to whatever else sets it`)
  if (config.host !== 'localhost') found.push('the data port is open to other pods')
  if (sidecar.ports?.some(({ containerPort }) => containerPort === config.port)) {
    found.push('the data port is shown to other pods')
  }
  const opsPort = sidecar.ports?.find(({ name }) => name === 'cache-ops')?.containerPort
  if (opsPort !== config.opsPort)
    found.push(`cache-ops is ${opsPort}, and the sidecar listens on ${config.opsPort}`)
  const { startupProbe, readinessProbe, livenessProbe } = sidecar
  const paths = [startupProbe, readinessProbe, livenessProbe].map((probe) => probe?.httpGet?.path)
  if (paths.join() !== '/startupz,/readyz,/livez') found.push(`the probes ask ${paths.join()}`)

  // Time: the app and a native sidecar stop one after the other, a classic one beside the app.
  const graceMs = (pod.terminationGracePeriodSeconds ?? defaultGraceSeconds) * 1_000
  const preStopMs = Math.max(...containers.map(preStopSeconds)) * 1_000
  const sidecarMs = config.shutdownDelayMs + config.shutdownTimeoutMs
  if (native && config.shutdownDelayMs > 0)
    found.push('the app has ended: nobody needs CACHE_SHUTDOWN_DELAY_MS')
  if (!native && config.shutdownDelayMs < preStopMs + appDrainMs) {
    found.push('the sidecar may stop before the app: CACHE_SHUTDOWN_DELAY_MS')
  }
  const neededMs = native ? preStopMs + appDrainMs + sidecarMs : sidecarMs
  if (graceMs <= neededMs) {
    found.push(
      `terminationGracePeriodSeconds is ${graceMs / 1_000}, and more than ${neededMs / 1_000} are needed`,
    )
  }

  // Memory: what the cache may hold fits into the heap, the heap and Node itself into the limit. A byte of UTF-8 can
  // take two in the heap, an entry up to 1 KiB beside its key and value, and the program itself about 32 MiB.
  const heap = Number(/--max-old-space-size=(\d+)/.exec(settings.NODE_OPTIONS ?? '')?.[1]) * mebibyte
  const limit = bytesOf(sidecar.resources?.limits?.memory)
  const held = 2 * (config.maxBytes ?? Number.POSITIVE_INFINITY) + config.capacity * 1024
  if (!(held + 32 * mebibyte <= heap)) found.push('the heap does not hold CACHE_MAX_BYTES and CACHE_CAPACITY')
  if (!(heap + 128 * mebibyte <= limit))
    found.push('the memory limit leaves less than 128 MiB beside the heap')
  return found
}

function preStopSeconds({ lifecycle }: IContainer): number {
  const { sleep, exec } = lifecycle?.preStop ?? {}
  const [command, seconds] = exec?.command ?? []
  return sleep?.seconds ?? (command === 'sleep' ? Number(seconds) : 0)
}

function bytesOf(quantity: string | number | undefined): number {
  const [, mebibytes] = /^(\d+)Mi$/.exec(String(quantity)) ?? []
  return Number(mebibytes) * mebibyte
}

function disruptionBudget({ kind, spec }: Resource, resources: readonly Resource[]): string[] {
  if (kind !== 'PodDisruptionBudget') return []
  const { minAvailable, maxUnavailable, selector } = spec as Record<string, unknown>
  const found = matched(selector, resources).length === 1 ? [] : ['it is not about one workload']
  if ((minAvailable === undefined) === (maxUnavailable === undefined)) {
    found.push('one of minAvailable and maxUnavailable is to be set, and not both')
  }
  return found
}

function autoscaler({ kind, spec }: Resource, resources: readonly Resource[]): string[] {
  if (kind !== 'HorizontalPodAutoscaler') return []
  const { scaleTargetRef, minReplicas, maxReplicas, metrics } = spec as {
    scaleTargetRef: { kind: string; name: string }
    minReplicas: number
    maxReplicas: number
    metrics: { type: string; containerResource?: { container: string } }[]
  }
  const target = resources.find(
    ({ kind, metadata }) => kind === scaleTargetRef.kind && metadata.name === scaleTargetRef.name,
  )
  const template = target && podTemplateOf(target)
  if (template === undefined) return [`there is no ${scaleTargetRef.kind} ${scaleTargetRef.name}`]
  const found: string[] = []
  if (target?.spec?.replicas !== undefined)
    found.push('applying its target again would reset the number of pods')
  if (minReplicas > maxReplicas) found.push('minReplicas is above maxReplicas')
  for (const { type, containerResource } of metrics) {
    if (type !== 'ContainerResource') found.push(`a ${type} metric is of the whole pod, sidecar and all`)
    else if (containerResource?.container === sidecarName)
      found.push('it follows the sidecar and not the app')
    else if (!template.spec?.containers.some(({ name }) => name === containerResource?.container)) {
      found.push(`its target has no container ${containerResource?.container}`)
    }
  }
  return found
}

function service({ kind, spec }: Resource, resources: readonly Resource[]): string[] {
  if (kind !== 'Service') return []
  const { selector, ports } = spec as { selector: unknown; ports: { targetPort: string | number }[] }
  const pods = matched({ matchLabels: selector }, resources)
  if (pods.length === 0) return ['no pod matches its selector']
  return ports
    .filter(({ targetPort }) => !pods.every((pod) => hasPort(pod.containers, targetPort)))
    .map(({ targetPort }) => `no container of its pods has port ${targetPort}`)
}

function podMonitor({ kind, spec }: Resource, resources: readonly Resource[]): string[] {
  if (kind !== 'PodMonitor') return []
  const { selector, podMetricsEndpoints } = spec as {
    selector: unknown
    podMetricsEndpoints: { port: string; path: string }[]
  }
  const pods = matched(selector, resources)
  if (pods.length === 0) return ['no pod matches its selector']
  return podMetricsEndpoints
    .filter(
      ({ port }) => !pods.every((pod) => hasPort([...(pod.initContainers ?? []), ...pod.containers], port)),
    )
    .map(({ port }) => `no container of its pods has port ${port}`)
}

function networkPolicy({ kind, spec }: Resource, resources: readonly Resource[]): string[] {
  if (kind !== 'NetworkPolicy') return []
  const { egress = [] } = spec as { readonly egress?: readonly { readonly to?: readonly unknown[] }[] }
  return [
    ...(matched(spec?.podSelector, resources).length === 0 ? ['no pod matches its selector'] : []),
    ...(egress.some(({ to = [] }) => to.length === 0) ? ['egress to any address'] : []),
  ]
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly {
    readonly key: string
    readonly operator: string
    readonly values?: string[]
  }[]
}

/** Pods of the workloads that a selector means. */
function matched(selector: unknown, resources: readonly Resource[]): IPodSpec[] {
  const { matchLabels = {}, matchExpressions = [] } = selector as Selector
  return resources.flatMap((resource) => {
    const template = podTemplateOf(resource)
    const labels = template?.metadata?.labels ?? {}
    const isMeant =
      isSubset(matchLabels, labels) &&
      matchExpressions.every(
        ({ key, operator, values }) => operator === 'In' && values?.includes(labels[key] ?? ''),
      )
    return template?.spec && isMeant ? [template.spec] : []
  })
}

const hasPort = (containers: readonly IContainer[], port: string | number) =>
  containers.some(({ ports = [] }) => ports.some((one) => one.name === port || one.containerPort === port))

const isSubset = (part: Readonly<Record<string, string>>, whole: Readonly<Record<string, string>> = {}) =>
  Object.entries(part).every(([name, value]) => whole[name] === value)

function duplicates<T>(values: readonly T[]): T[] {
  return values.filter((value, index) => value !== undefined && values.indexOf(value) !== index)
}
