import { Agent } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../../support/eventually.js'
import { freePorts } from '../../support/free-ports.js'
import { JsonClient } from '../../support/json-client.js'
import type { CheckList } from '../check-list.js'
import type { Features } from '../podman/features.js'
import type { Podman } from '../podman/podman.js'
import { restricted, startSidecar } from '../sidecar-container.js'
import { expect, expectNone } from './expectations.js'
import { memoryFaults } from './memory-faults.js'
import { processFaults } from './process-faults.js'

interface Surroundings {
  readonly podman: Podman
  readonly features: Features
  readonly image: string
  readonly databaseUrl: string
}

/** Checks of single sidecars, as containers in the network of this machine. */
export async function checkSidecars(checks: CheckList, surroundings: Surroundings): Promise<void> {
  const { podman, features, image, databaseUrl } = surroundings
  const start = (name: string, more: Partial<Parameters<typeof startSidecar>[1]> = {}) =>
    startSidecar(podman, { image, name, databaseUrl, options: restricted, ...more })

  await checks.check('a sidecar works as a numbered user, without rights, on a read-only root', async () => {
    await features.require('containers')
    const { client } = await start('restricted')
    expectNone(await processFaults(podman, 'restricted', 12345))
    expect('a write', (await client.set('greeting', 'hello')).status, 200)
    expect('its value', await client.held('greeting'), 'hello')
    await podman.remove('restricted')
  })

  await checks.check('HEALTHCHECK asks the address that flags of the sidecar name', async () => {
    await features.require('containers')
    // startSidecar() takes the first two.
    const opsPort = (await freePorts(3)) + 2
    await start('flags', { command: ['serve', `--ops-port=${opsPort}`] })
    await podman.remove('flags')
  })

  await checks.check('SIGTERM under load: no accepted request fails, and the exit code is 0', async () => {
    await features.require('containers')
    const { client } = await start('loaded')
    await stopUnderLoad(podman, 'loaded', client)
    await podman.remove('loaded')
  })

  await checks.check(
    'a container that was frozen for longer than the bound serves nothing outdated',
    async () => {
      await features.require('containers', 'freezing')
      const boundMs = 1_000
      const environment = { CACHE_MAX_STALENESS_MS: String(boundMs) }
      const [{ client }, other] = [await start('frozen', { environment }), await start('other')]
      await client.set('state', 'before')
      await client.held('state')
      await podman.output(['pause', 'frozen'])
      expect('a write', (await other.client.set('state', 'after')).status, 200)
      await sleep(boundMs + 200)
      const answers = Array.from({ length: 10 }, () => client.get('state'))
      await podman.output(['unpause', 'frozen'])
      for (const { body } of await Promise.all(answers)) expect('the value after it', body.value, 'after')
      await podman.remove('frozen', 'other')
    },
  )

  await checks.check(
    'default settings in a container of 256 MiB: 250 MiB of values do not get it killed',
    async () => {
      await features.require('containers', 'memory limits')
      const start = { image, name: 'limited', databaseUrl, options: restricted }
      expectNone(await memoryFaults(podman, start))
      await podman.remove('limited')
    },
  )
}

async function stopUnderLoad(podman: Podman, name: string, { base }: JsonClient): Promise<void> {
  let answered = 0
  let isStopping = false
  const unexpected: string[] = []
  const clients = Array.from({ length: 16 }, async (_, number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const client = new JsonClient(base, agent)
    for (let round = 0; unexpected.length === 0; round++) {
      try {
        const key = `${number} ${round % 10}`
        const { status, text } = await (round % 4 === 0 ? client.set(key, round) : client.get(key))
        if (status === 200 || status === 404) answered++
        else unexpected.push(`${status} ${text}`)
      } catch (error) {
        // The last answer has closed the connection, and a new one is not accepted.
        if (!isStopping || (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED')
          unexpected.push(String(error))
        break
      }
    }
    agent.destroy()
  })
  await eventually(() => answered > 1_000 || unexpected.length > 0)
  isStopping = true
  await podman.output(['stop', '--time', '60', name])
  await Promise.all(clients)
  expectNone(unexpected)
  expect('the exit code', (await podman.stateOf(name)).ExitCode, 0)
}
