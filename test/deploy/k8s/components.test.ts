import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import type { IContainer } from 'kubernetes-models/v1/Container'
import type { IPodTemplateSpec } from 'kubernetes-models/v1/PodTemplateSpec'
import t from 'tap'
import type { Owner } from '../../support/database.js'
import { containersOf, hasKubectl, parseManifests, podTemplateOf, render } from './manifests.js'

async function sidecarIn(component: string) {
  const file = `k8s/components/${component}/sidecar.yaml`
  const template = parseManifests(file, await readFile(file, 'utf8'), true).map(({ resource }) =>
    podTemplateOf(resource),
  )[0] as IPodTemplateSpec
  const [container] = containersOf(template)
  return { labels: template.metadata?.labels, container: container as IContainer }
}

t.test('the native and the classic sidecar differ only in how they stop', async (t) => {
  const native = await sidecarIn('sidecar')
  const classic = await sidecarIn('sidecar-classic')
  t.same(native.labels, classic.labels)
  const { restartPolicy, ...one } = native.container
  t.equal(restartPolicy, 'Always')
  const withoutDelay = ({ env, ...rest }: IContainer) => ({
    ...rest,
    env: env?.filter(({ name }) => name !== 'CACHE_SHUTDOWN_DELAY_MS'),
  })
  t.same(withoutDelay(one), withoutDelay(classic.container))
})

const workload = (kind: string, name: string, labels: string) => `
apiVersion: apps/v1
kind: ${kind}
metadata:
  name: ${name}
  labels: {${labels}}
spec:
  serviceName: a
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec:
      initContainers: [{name: prepare, image: a:1}]
      containers: [{name: app, image: a:1}]
`

const skip = (await hasKubectl()) ? false : 'kubectl is not installed'

/** Renders workloads with components of k8s/components, as a user's kustomization would. */
async function renderWith(t: Owner, workloads: readonly string[], components: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'caching-layer-k8s-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const paths = components.map((name) => relative(folder, resolve('k8s/components', name)))
  await writeFile(join(folder, 'apps.yaml'), workloads.join('---'))
  await writeFile(
    join(folder, 'kustomization.yaml'),
    JSON.stringify({ resources: ['apps.yaml'], components: paths }),
  )
  return (await render(folder)).map(({ resource }) => resource)
}

const injected = 'caching-layer.dev/inject: "true"'

t.test('the sidecar goes into what has the label, before init containers of its own', { skip }, async (t) => {
  const resources = await renderWith(
    t,
    [
      workload('Deployment', 'with', injected),
      workload('StatefulSet', 'with-too', injected),
      workload('Deployment', 'refused', 'caching-layer.dev/inject: "false"'),
      workload('Deployment', 'without', ''),
    ],
    ['sidecar'],
  )
  const initContainers = resources.map((resource) => [
    resource.metadata.name,
    podTemplateOf(resource)?.spec?.initContainers?.map(({ name }) => name),
  ])
  t.same(Object.fromEntries(initContainers), {
    with: ['caching-layer', 'prepare'],
    'with-too': ['caching-layer', 'prepare'],
    refused: ['prepare'],
    without: ['prepare'],
  })
})

t.test('budget and autoscaler are for the Deployment that there is', { skip }, async (t) => {
  const resources = await renderWith(t, [workload('Deployment', 'mine', injected)], ['sidecar', 'pdb', 'hpa'])
  const specOf = (kind: string) => resources.find((resource) => resource.kind === kind)?.spec
  t.match(specOf('PodDisruptionBudget'), { selector: { matchLabels: { app: 'mine' } } })
  t.match(specOf('HorizontalPodAutoscaler'), { scaleTargetRef: { kind: 'Deployment', name: 'mine' } })
  t.same(
    resources.map(({ metadata }) => metadata.name),
    ['mine', 'mine', 'mine'],
  )
})
