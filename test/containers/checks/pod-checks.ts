import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseManifests, podTemplateOf, type Resource } from '../../deploy/k8s/manifests.js'
import { eventually } from '../../support/eventually.js'
import { freePorts } from '../../support/free-ports.js'
import { CannotRun, type CheckList } from '../check-list.js'
import { currentKubectl, kustomize } from '../kubectl.js'
import type { Features } from '../podman/features.js'
import type { Podman } from '../podman/podman.js'
import { expect, expectNone } from './expectations.js'
import { processFaults } from './process-faults.js'

/** Resources of each overlay and example, by its folder. */
type Rendered = ReadonlyMap<string, readonly Resource[]>

/** Renders all overlays and examples with a current kubectl. */
export async function renderAll(checks: CheckList, { folder }: Podman): Promise<Rendered> {
  const rendered = new Map<string, readonly Resource[]>()
  await checks.check('a current kubectl renders every overlay and example', async () => {
    const kubectl = await currentKubectl(folder)
    for (const parent of ['k8s/overlays', 'k8s/examples']) {
      for (const name of await readdir(parent)) {
        const path = join(parent, name)
        const resources = parseManifests(path, await kustomize(kubectl, path)).map(({ resource }) => resource)
        if (resources.length < 2) throw new Error(`${path} renders ${resources.length} resources`)
        rendered.set(path, resources)
      }
    }
  })
  return rendered
}

interface Surroundings {
  readonly podman: Podman
  readonly features: Features
  readonly image: string
  /** Network with the database, and its URL in it; undefined if there is none. */
  readonly database: { readonly network: string; readonly url: string } | undefined
  readonly rendered: Rendered
}

/** Starts the pod of the classic example. */
export async function checkClassicPod(checks: CheckList, surroundings: Surroundings): Promise<void> {
  const { podman, features, image, database, rendered } = surroundings
  await checks.check(
    'podman starts the rendered classic pod, and its app answers from its sidecar',
    async () => {
      await features.require('containers', 'networks', 'pods')
      const resources = rendered.get('k8s/examples/classic')
      if (resources === undefined || database === undefined)
        throw new CannotRun('it needs the rendered manifests, and the database of the compose file')
      await podman.output(['tag', image, imageOf(resources)])
      const port = await freePorts(1)
      const file = join(podman.folder, 'classic.json')
      const documents = [
        ...resources.filter(({ kind }) => kind === 'ConfigMap'),
        podOf(resources, { databaseUrl: database.url, port }),
      ]
      await writeFile(file, documents.map((document) => JSON.stringify(document)).join('\n---\n'))
      await podman.output(['kube', 'play', '--network', database.network, file])
      const sidecar = 'sample-app-caching-layer'
      expectNone(await processFaults(podman, sidecar, 1000))
      const set = `fetch('http://127.0.0.1:8025/cache/set', { method: 'POST', body: '{"key":"foo","value":"bar"}',
      headers: { 'Content-Type': 'application/json' } }).then(({ status }) => console.log(status))`
      await eventually(async () => (await podman.output(['exec', sidecar, 'node', '-e', set])) === '200')
      const answer = await eventually(() => fetch(`http://127.0.0.1:${port}/?key=foo`))
      expect(
        'the value that the app answers with',
        ((await answer.json()) as { value: unknown }).value,
        'bar',
      )
      const ready = await podman.output(['exec', sidecar, 'node', 'dist/main.js', 'healthcheck'])
      expect('healthcheck in the pod', ready, 'alive')
      await podman.output(['pod', 'stop', '--time', '60', 'sample-app'])
      expect('the exit code of the sidecar', (await podman.stateOf(sidecar)).ExitCode, 0)
    },
  )
}

interface PodInputs {
  readonly databaseUrl: string
  /** Port of this machine that leads to the app. */
  readonly port: number
}

/**
 * Returns the pod of the Deployment without what podman cannot do: it carries out probes with curl inside the
 * container, which has none, and podman 4.3 cannot read the secrets that it makes from manifests.
 */
function podOf(resources: readonly Resource[], { databaseUrl, port }: PodInputs): object {
  const template = podTemplateOf(deploymentIn(resources))
  const containers = template?.spec?.containers.map(
    ({ livenessProbe, readinessProbe, startupProbe, lifecycle, ports = [], env = [], ...container }) => ({
      ...container,
      ports: ports.map((one) =>
        one.name === 'http' ? { ...one, hostPort: port, hostIP: '127.0.0.1' } : one,
      ),
      env: env.flatMap((one) => {
        const secret = one.valueFrom?.secretKeyRef
        if (secret === undefined) return [one]
        return secret.optional ? [] : [{ name: one.name, value: databaseUrl }]
      }),
    }),
  )
  const metadata = { ...template?.metadata, name: 'sample-app' }
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...template?.spec, containers } }
}

function deploymentIn(resources: readonly Resource[]): Resource {
  const found = resources.find(({ kind }) => kind === 'Deployment')
  if (found === undefined) throw new Error('no Deployment was rendered')
  return found
}

function imageOf(resources: readonly Resource[]): string {
  const containers = podTemplateOf(deploymentIn(resources))?.spec?.containers
  const image = containers?.find(({ name }) => name === 'caching-layer')?.image
  if (image === undefined) throw new Error('the Deployment has no sidecar')
  return image
}
