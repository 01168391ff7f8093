import { once } from 'node:events'
import type { Config } from '../config/config.js'
import { ConfigReload } from '../config/config-reload.js'
import { FileWatch } from '../config/file-watch.js'
import { type Environment, loadConfig } from '../config/load.js'
import { createLog } from '../log.js'
import type { Tracing } from '../opentelemetry/tracing.js'
import { Sidecar } from '../sidecar.js'
import type { Command } from './command.js'

/** One sidecar, until told to stop. */
export const serve: Command = {
  options: { 'no-migrate': { type: 'boolean' } },
  settings: true,
  async run({ flags, values, environment, onHangup, stop }) {
    const load = () => loadConfig(environment, { flags: values })
    const { config, warnings } = load()
    const log = createLog(config.logLevel)
    for (const warning of warnings) log.warn(warning)
    const shutdown = new AbortController()
    const sidecar = new Sidecar({
      config,
      log,
      migrate: !flags.has('no-migrate'),
      ...(config.shutdownEndpoint && { onShutdown: () => shutdown.abort() }),
      ...(isTraced(environment) && { tracing: await tracingOf(config, log) }),
    })
    const reload = new ConfigReload(config, { load, log, apply: (changed) => sidecar.reconfigure(changed) })
    onHangup?.(() => reload.asked())
    const watch =
      config.configFile === undefined
        ? undefined
        : new FileWatch({ path: config.configFile, onTouched: () => reload.fileTouched() })
    watch?.start()
    const end = AbortSignal.any([stop, shutdown.signal])
    const stopped = end.aborted ? Promise.resolve() : once(end, 'abort')
    try {
      await Promise.race([sidecar.start(), stopped])
      const { host, socket } = config
      log.info(socket === undefined ? { host, port: sidecar.port } : { socket }, 'serving')
      await stopped
      log.info({ told: stop.aborted ? 'by a signal' : 'by a request' }, 'stopping')
    } finally {
      watch?.close()
      await sidecar.close()
    }
    return 0
  },
}

/** By the variables of OpenTelemetry, which its SDK reads for itself. */
function isTraced({
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: forTraces,
  OTEL_SDK_DISABLED: disabled,
}: Environment): boolean {
  return Boolean(endpoint || forTraces) && disabled?.toLowerCase() !== 'true'
}

async function tracingOf({ databaseUrl }: Config, log: ReturnType<typeof createLog>): Promise<Tracing> {
  const { startTracing } = await import('../opentelemetry/tracing.js')
  return startTracing({ databaseUrl, log })
}
