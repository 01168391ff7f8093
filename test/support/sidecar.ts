import { Writable } from 'node:stream'
import pino from 'pino'
import type { Config } from '../../src/config/config.js'
import { loadConfig } from '../../src/config/load.js'
import { Sidecar, type SidecarOptions } from '../../src/sidecar/sidecar.js'
import type { Owner } from './database.js'
import { eventually } from './eventually.js'
import { JsonClient } from './json-client.js'

export interface StartedSidecar {
  readonly sidecar: Sidecar
  readonly client: JsonClient
  /** Client of its operations listener. */
  readonly ops: JsonClient
  /** Everything logged so far, at every level: one JSON text per line. */
  readonly log: readonly string[]
}

export interface StartOptions extends Partial<Config> {
  readonly databaseUrl: string
  readonly migrate?: boolean
  /** Called by `POST /v1/shutdown`; without it there is no such endpoint. */
  readonly onShutdown?: () => void
  readonly settingSources?: NonNullable<SidecarOptions['settingSources']>
  readonly inspectDatabase?: NonNullable<SidecarOptions['inspectDatabase']>
}

/** Starts a sidecar in this process, as `serve` does, on a free port. It is closed at the end of the test. */
export async function startSidecar(t: Owner, options: StartOptions): Promise<StartedSidecar> {
  const { migrate = true, onShutdown, settingSources, inspectDatabase, ...overrides } = options
  const config: Config = {
    ...loadConfig({}).config,
    port: 0,
    opsHost: '127.0.0.1',
    opsPort: 0,
    databaseListenUrl: options.databaseUrl,
    isFastLaneOn: process.env.TEST_FAST_LANE !== 'off',
    ...overrides,
  }
  const log: string[] = []
  const stream = new Writable({
    write(chunk, _encoding, done) {
      log.push(String(chunk))
      done()
    },
  })
  const sidecar = new Sidecar({
    version: '0.0.0-test',
    config,
    log: pino({ level: 'trace' }, stream),
    migrate,
    ...(onShutdown && { onShutdown }),
    ...(settingSources && { settingSources }),
    ...(inspectDatabase && { inspectDatabase }),
  })
  t.teardown(() => sidecar.close())
  await sidecar.start()
  const [client, ops] = [sidecar.port, sidecar.opsPort].map(
    (port) => new JsonClient(`http://127.0.0.1:${port}`),
  ) as [JsonClient, JsonClient]
  return { sidecar, client, ops, log }
}

/** Starts a sidecar and waits until its change feed has been live. One that soon becomes idle may be idle again. */
export async function startLiveSidecar(t: Owner, options: StartOptions): Promise<StartedSidecar> {
  const started = await startSidecar(t, options)
  await eventually(async () => ['live', 'idle'].includes((await started.client.stats()).feed.state))
  return started
}
