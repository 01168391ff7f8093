import type { Manifest, Resource } from './manifests.js'

/** The checks: the schema, the compiler, and our own rules. */
export type Check = 'model' | 'types' | 'rules'

/** One change to what is rendered, and exactly the checks that find it. */
export interface Mistake {
  readonly name: string
  readonly kind: string
  /** Members and indices; what is in a list can be named by its `name`. */
  readonly at: string
  /** undefined: removed. */
  readonly put: unknown
  readonly foundBy: readonly Check[]
}

type Row = readonly [name: string, kind: string, at: string, put: unknown, ...foundBy: Check[]]

const pod = 'spec.template.spec'
const app = `${pod}.containers.app`
const sidecar = `${pod}.initContainers.caching-layer`

const rows: readonly Row[] = [
  // Fields and values.
  ['a field is misspelt', 'Deployment', `${sidecar}.imagePullPolicyy`, 'Always', 'types'],
  ['a field of the pod in a container', 'Deployment', `${sidecar}.hostNetwork`, true, 'types'],
  ['a field at the wrong level', 'Deployment', 'spec.terminationGracePeriodSeconds', 60, 'types'],
  ['a field of a custom resource is misspelt', 'PodMonitor', 'spec.podMetricsEndpoint', [], 'types'],
  ['a required field is missing', 'Deployment', 'spec.selector', undefined, 'model', 'types'],
  ['a number is a string', 'Deployment', `${sidecar}.readinessProbe.periodSeconds`, '5', 'model', 'types'],
  ['a string is a number', 'Deployment', `${sidecar}.env.CACHE_CAPACITY.value`, 50_000, 'model', 'types'],
  ['a value outside its enumeration', 'Deployment', `${sidecar}.imagePullPolicy`, 'Often', 'model', 'types'],
  ['half a second', 'Deployment', `${pod}.terminationGracePeriodSeconds`, 30.5, 'model'],
  [
    'a duration that Prometheus cannot read',
    'PodMonitor',
    'spec.podMetricsEndpoints.0.interval',
    '15 s',
    'model',
  ],
  ['a version that never was', 'Deployment', 'apiVersion', 'apps/v2', 'model'],
  ['a removed API version', 'HorizontalPodAutoscaler', 'apiVersion', 'autoscaling/v2beta2', 'rules'],
  ['another removed API version', 'PodDisruptionBudget', 'apiVersion', 'policy/v1beta1', 'types', 'rules'],

  // Pods.
  ['restartPolicy is misspelt', 'Deployment', `${sidecar}.restartPolicy`, 'Allways', 'rules'],
  [
    'restartPolicy is missing: an init container',
    'Deployment',
    `${sidecar}.restartPolicy`,
    undefined,
    'rules',
  ],
  ['an app with a restartPolicy', 'Deployment', `${app}.restartPolicy`, 'Always', 'rules'],
  ['a Job that starts again and again', 'Job', `${pod}.restartPolicy`, 'Always', 'rules'],
  [
    'a probe of a port that is not there',
    'Deployment',
    `${sidecar}.readinessProbe.httpGet.port`,
    'ops',
    'rules',
  ],
  ['a probe of the data port', 'Deployment', `${sidecar}.livenessProbe.httpGet.port`, 8025, 'rules'],
  ['a probe of another path', 'Deployment', `${sidecar}.livenessProbe.httpGet.path`, '/readyz', 'rules'],
  [
    'a port name of 16 characters',
    'Deployment',
    `${app}.ports.1`,
    { name: 'metrics-of-an-ap', containerPort: 8081 },
    'rules',
  ],
  [
    'two ports of one name',
    'Deployment',
    `${app}.ports.1`,
    { name: 'cache-ops', containerPort: 8081 },
    'rules',
  ],
  ['a selector that misses its own pods', 'Deployment', 'spec.selector.matchLabels', { app: 'x' }, 'rules'],
  ['a volume that is not there', 'Deployment', `${app}.volumeMounts.app.name`, 'application', 'rules'],
  ['an image without a tag', 'Deployment', `${sidecar}.image`, 'registry:5000/caching-layer', 'rules'],
  ['an image that is whatever is newest', 'Deployment', `${sidecar}.image`, 'caching-layer:latest', 'rules'],
  ['a memory request below the limit', 'Deployment', `${sidecar}.resources.requests.memory`, '64Mi', 'rules'],

  // The "restricted" Pod Security Standard, and what goes beyond it.
  [
    'privilege escalation left open',
    'Deployment',
    `${sidecar}.securityContext.allowPrivilegeEscalation`,
    undefined,
    'rules',
  ],
  ['capabilities kept', 'Deployment', `${sidecar}.securityContext.capabilities.drop`, ['NET_RAW'], 'rules'],
  ['a capability added', 'Deployment', `${app}.securityContext.capabilities.add`, ['SYS_TIME'], 'rules'],
  ['maybe root', 'Deployment', `${pod}.securityContext.runAsNonRoot`, undefined, 'rules'],
  ['root', 'Deployment', `${sidecar}.securityContext.runAsUser`, 0, 'rules'],
  ['no seccomp', 'Deployment', `${sidecar}.securityContext.seccompProfile.type`, 'Unconfined', 'rules'],
  [
    'a folder of the node',
    'Deployment',
    `${pod}.volumes.app`,
    { name: 'app', hostPath: { path: '/' } },
    'rules',
  ],
  [
    'a volume of another type',
    'Deployment',
    `${pod}.volumes.app`,
    { name: 'app', nfs: { server: 'a', path: '/' } },
    'rules',
  ],
  ['the network of the node', 'Deployment', `${pod}.hostNetwork`, true, 'rules'],
  ['a port of the node', 'Deployment', `${app}.ports.http.hostPort`, 8080, 'rules'],
  [
    'a probe that asks another host',
    'Deployment',
    `${app}.readinessProbe.httpGet.host`,
    '169.254.169.254',
    'rules',
  ],
  ['privileged', 'Deployment', `${sidecar}.securityContext.privileged`, true, 'rules'],
  [
    'a root file system that can be written',
    'Job',
    `${pod}.containers.migrate.securityContext.readOnlyRootFilesystem`,
    undefined,
    'rules',
  ],
  ['a token for the cluster', 'Job', `${pod}.automountServiceAccountToken`, undefined, 'rules'],
  [
    'a password in the open',
    'Deployment',
    `${sidecar}.env.DATABASE_URL`,
    { name: 'DATABASE_URL', value: 'postgresql://a:b@c/d' },
    'rules',
  ],

  ['a secret among the manifests', 'Service', 'kind', 'Secret', 'types', 'rules'],

  // The sidecar's own settings and sums.
  ['a sidecar under another name', 'Deployment', `${sidecar}.name`, 'cache', 'rules'],
  [
    'a setting that is there twice',
    'Deployment',
    `${sidecar}.env.CACHE_MAX_BYTES.name`,
    'CACHE_CAPACITY',
    'rules',
  ],
  ['a setting is misspelt', 'Deployment', `${sidecar}.env.CACHE_MAX_BYTES.name`, 'CACHE_MAX_BITES', 'rules'],
  ['a data port for everybody', 'Deployment', `${sidecar}.env.HOST.value`, '0.0.0.0', 'rules'],
  ['a port that a Service may set', 'Deployment', `${sidecar}.env.OPS_PORT.name`, 'OTHER_PORT', 'rules'],
  [
    'an operations port that is not the one asked',
    'Deployment',
    `${sidecar}.ports.cache-ops.containerPort`,
    9026,
    'rules',
  ],
  ['too little time to stop', 'Deployment', `${pod}.terminationGracePeriodSeconds`, 25, 'rules'],
  [
    'a native sidecar that waits for nobody',
    'Deployment',
    `${sidecar}.env.CACHE_SHUTDOWN_DELAY_MS.value`,
    '1000',
    'rules',
  ],
  [
    'a cache larger than the heap',
    'Deployment',
    `${sidecar}.env.CACHE_MAX_BYTES.value`,
    '134217728',
    'rules',
  ],
  [
    'a heap as large as the limit',
    'Deployment',
    `${sidecar}.env.NODE_OPTIONS.value`,
    '--max-old-space-size=320',
    'rules',
  ],

  // Between resources.
  ['a budget with min and max', 'PodDisruptionBudget', 'spec.minAvailable', 1, 'rules'],
  ['a budget with neither', 'PodDisruptionBudget', 'spec.maxUnavailable', undefined, 'rules'],
  ['a budget for nothing', 'PodDisruptionBudget', 'spec.selector.matchLabels', { app: 'x' }, 'rules'],
  ['a budget for everything', 'PodDisruptionBudget', 'spec.selector', {}, 'rules'],
  ['scaling by the whole pod', 'HorizontalPodAutoscaler', 'spec.metrics.0.type', 'Resource', 'rules'],
  [
    'scaling by the sidecar',
    'HorizontalPodAutoscaler',
    'spec.metrics.0.containerResource.container',
    'caching-layer',
    'rules',
  ],
  [
    'scaling by nobody',
    'HorizontalPodAutoscaler',
    'spec.metrics.0.containerResource.container',
    'web',
    'rules',
  ],
  ['scaling what is not there', 'HorizontalPodAutoscaler', 'spec.scaleTargetRef.name', 'app', 'rules'],
  ['two owners of the number of pods', 'Deployment', 'spec.replicas', 3, 'rules'],
  ['a Service of a port that is not there', 'Service', 'spec.ports.http.targetPort', 'web', 'rules'],
  ['a Service without pods', 'Service', 'spec.selector', { app: 'x' }, 'rules'],
  [
    'metrics of a port that is not there',
    'PodMonitor',
    'spec.podMetricsEndpoints.0.port',
    'metrics',
    'rules',
  ],
  [
    'egress to anywhere',
    'NetworkPolicy',
    'spec.egress',
    [{ ports: [{ protocol: 'TCP', port: 5432 }] }],
    'rules',
  ],
  ['a policy for nobody', 'NetworkPolicy', 'spec.podSelector', { matchLabels: { app: 'x' } }, 'rules'],
]

const mistakesOf = (rows: readonly Row[]): Mistake[] =>
  rows.map(([name, kind, at, put, ...foundBy]) => ({
    name,
    kind,
    at,
    put,
    foundBy,
  }))

/** Mistakes in the output of overlays/prod. */
export const mistakes: readonly Mistake[] = mistakesOf(rows)

const classic = `${pod}.containers.caching-layer`

/** Mistakes in the output of examples/classic. */
export const classicMistakes: readonly Mistake[] = mistakesOf([
  [
    'a sidecar that stops before its app',
    'Deployment',
    `${classic}.env.CACHE_SHUTDOWN_DELAY_MS.value`,
    '0',
    'rules',
  ],
  [
    'a sidecar that is killed',
    'Deployment',
    `${classic}.env.CACHE_SHUTDOWN_TIMEOUT_MS.value`,
    '15000',
    'rules',
  ],
  [
    'an app that takes longer to stop',
    'Deployment',
    `${app}.lifecycle.preStop.exec.command.1`,
    '10',
    'rules',
  ],
])

/** The manifests with one mistake in them, and the one that has it. */
export function plant(
  { name, kind, at, put }: Mistake,
  manifests: readonly Manifest[],
): { readonly all: readonly Manifest[]; readonly planted: Manifest } {
  const original = manifests.find(({ resource }) => resource.kind === kind)
  if (original === undefined) throw new Error(`there is no ${kind} to plant "${name}" in`)
  const resource = structuredClone(original.resource)
  const path = at.split('.')
  const last = path.pop() as string
  const owner = path.reduce<Node>(
    (node, step) => node[keyOf(node, step)] as Node,
    resource as Resource & Node,
  )
  if (owner === undefined) throw new Error(`"${name}": there is no ${at}`)
  if (put === undefined) delete owner[keyOf(owner, last)]
  else owner[keyOf(owner, last)] = put
  const planted = { ...original, where: name, resource }
  return { all: manifests.map((one) => (one === original ? planted : one)), planted }
}

type Node = Record<string | number, unknown>

function keyOf(node: Node, step: string): string | number {
  if (!Array.isArray(node) || /^\d+$/.test(step)) return step
  return node.findIndex(({ name }: { name?: string }) => name === step)
}
