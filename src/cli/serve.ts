import { once } from 'node:events'
import type { Config } from '../config/config.js'
import { loadConfig } from '../config/load.js'
import { wantsTraces } from '../config/wants-traces.js'
import { createLog } from '../log.js'
import type { Tracing } from '../opentelemetry/tracing.js'
import { Sidecar } from '../sidecar.js'
import type { Command } from './command.js'

/** One sidecar, until told to stop. */
export const serve: Command = {
  options: { 'no-migrate': { type: 'boolean' } },
  async run({ flags, environment, stop }) {
    const { config, warnings } = loadConfig(environment)
    const log = createLog(config.logLevel)
    for (const warning of warnings) log.warn(warning)
    const shutdown = new AbortController()
    const sidecar = new Sidecar({
      config,
      log,
      migrate: !flags.has('no-migrate'),
      ...(config.shutdownEndpoint && { onShutdown: () => shutdown.abort() }),
      ...(wantsTraces(environment) && { tracing: await tracingOf(config, log) }),
    })
    const end = AbortSignal.any([stop, shutdown.signal])
    const stopped = end.aborted ? Promise.resolve() : once(end, 'abort')
    try {
      await Promise.race([sidecar.start(), stopped])
      log.info({ host: config.host, port: sidecar.port }, 'serving')
      await stopped
      log.info({ told: stop.aborted ? 'by a signal' : 'by a request' }, 'stopping')
    } finally {
      await sidecar.close()
    }
    return 0
  },
}

async function tracingOf({ databaseUrl }: Config, log: ReturnType<typeof createLog>): Promise<Tracing> {
  const { startTracing } = await import('../opentelemetry/tracing.js')
  return startTracing({ databaseUrl, log })
}
