import { eventually } from '../../support/eventually.js'
import { JsonClient } from '../../support/json-client.js'
import type { CheckList } from '../check-list.js'
import { ComposeProject } from '../compose/compose-project.js'
import type { Features } from '../podman/features.js'
import type { Podman } from '../podman/podman.js'
import { expect, expectNone } from './expectations.js'
import { processFaults } from './process-faults.js'

/** Checks of docker-compose.yml. Resolves to the project, which is still up. */
export async function checkCompose(
  checks: CheckList,
  { podman, features }: { readonly podman: Podman; readonly features: Features },
): Promise<ComposeProject | undefined> {
  const project = new ComposeProject(podman, 'docker-compose.yml', 'compose')
  const isUp = await checks.check(
    'docker-compose.yml comes up, and both sidecars answer at once',
    async () => {
      await features.require('containers', 'networks')
      await project.up()
      for (const port of ['8025', '8026']) {
        const { status } = await new JsonClient(project.url(port)).request('GET', '/health')
        expect(`GET /health on port ${port}`, status, 200)
      }
      for (const name of ['sidecar-1', 'sidecar-2']) expectNone(await processFaults(podman, name, 1000))
    },
  )
  if (!isUp) return undefined
  const [one, other] = ['8025', '8026'].map((port) => new JsonClient(project.url(port))) as [
    JsonClient,
    JsonClient,
  ]

  await checks.check('a container reaches the sidecars by the names of their services', async () => {
    for (const name of ['sidecar-1', 'sidecar-2']) {
      const script = `fetch('http://${name}:8025/cache/stats').then(({ status }) => console.log(status))`
      expect(`http://${name}:8025`, await podman.output(['exec', 'sidecar-2', 'node', '-e', script]), '200')
    }
    const script = `fetch('http://postgres:8025', { signal: AbortSignal.timeout(5000) }).catch(() => console.log('none'))`
    expect('http://postgres:8025', await podman.output(['exec', 'sidecar-2', 'node', '-e', script]), 'none')
  })

  await checks.check('what one sidecar writes, the other serves', async () => {
    expect('the write', (await one.set('fruit', 'apple')).status, 200)
    await eventually(async () => (await other.value('fruit')) === 'apple')
    expect('the value', await one.held('fruit'), 'apple')
  })

  await checks.check('PostgreSQL is stopped and started again: reads go on, writes come back', async () => {
    await other.held('fruit')
    await podman.output(['stop', '--time', '60', 'postgres'])
    const read = await other.get('fruit')
    expect('a read meanwhile', read.body.value, 'apple')
    const write = await one.set('fruit', 'pear')
    if (![200, 202, 503].includes(write.status))
      throw new Error(`a write meanwhile: ${write.status} ${write.text}`)
    await podman.output(['start', 'postgres'])
    await project.untilHealthy('postgres')
    await eventually(async () => (await one.set('fruit', 'plum')).body.db_written === true)
    await eventually(async () => (await other.value('fruit')) === 'plum')
  })
  return project
}
