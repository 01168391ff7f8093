import { once } from 'node:events'
import type { Config } from '../../config/config.js'
import { ConfigReload } from '../../config/config-reload.js'
import { FileWatch } from '../../config/file-watch.js'
import { openHostWarning, refuseInheritedHost } from '../../config/host-intent.js'
import { loadConfig } from '../../config/load.js'
import { plannedListeners, refuseSharedPorts } from '../../config/shared-ports.js'
import { isTracingEnabled, otlpWarnings } from '../../config/tracing-enabled.js'
import { currentUrl } from '../../connection-url/connection-source.js'
import { parseConnectionUrl } from '../../connection-url/connection-url.js'
import { redactUrl } from '../../connection-url/redact-url.js'
import { createLog } from '../../telemetry/log/log.js'
import { logNodeWarnings } from '../../telemetry/log/node-warnings.js'
import type { Tracing } from '../../telemetry/opentelemetry/tracing.js'
import type { Command } from '../command.js'
import { inspectDatabase } from '../inspect-database.js'
import { startReport } from '../start-report.js'
import { version } from '../version.js'

/** Runs one sidecar until it has to stop. */
export const serve: Command = {
  options: {
    'no-migrate': { type: 'boolean', about: 'leave pending migrations to `caching-layer migrate`' },
  },
  settings: 'listed',
  async run({ flags, values, environment, onHangup, stop }) {
    const load = () => loadConfig(environment, { flags: values })
    const loaded = load()
    const { config, sources, warnings } = loaded
    refuseInheritedHost(loaded)
    refuseSharedPorts(plannedListeners(config))
    // Loaded only now: it is most of the program, and an invalid configuration does not need it.
    const { Sidecar } = await import('../../sidecar/sidecar.js')
    const log = createLog(config.logLevel)
    logNodeWarnings(log)
    const tracing = isTracingEnabled(environment) ? await tracingOf(config, log) : undefined
    log.info(startReport(loaded), 'starting')
    for (const warning of [...warnings, ...otlpWarnings(environment)]) log.warn(warning)
    const openHost = openHostWarning(config)
    if (openHost !== undefined) log.warn(openHost)
    if (sources.databaseUrl === 'default' && config.databaseUrlFile === undefined)
      log.warn({ databaseUrl: redactUrl(config.databaseUrl) }, 'DATABASE_URL is not set: using the default')
    const shutdown = new AbortController()
    const sidecar = new Sidecar({
      version,
      config,
      settingSources: sources,
      inspectDatabase,
      log,
      migrate: !flags.has('no-migrate'),
      ...(config.shutdownEndpoint && { onShutdown: () => shutdown.abort() }),
      ...(tracing && { tracing }),
    })
    const reload = new ConfigReload(config, {
      load,
      log,
      warned: warnings,
      apply: (changed) => sidecar.reconfigure(changed),
    })
    onHangup(() => reload.asked())
    const watch =
      config.configFile === undefined
        ? undefined
        : new FileWatch({ path: config.configFile, onTouched: () => reload.fileTouched() })
    watch?.start()
    const end = AbortSignal.any([stop, shutdown.signal])
    const stopped = end.aborted ? Promise.resolve() : once(end, 'abort')
    try {
      if (!end.aborted) await Promise.race([sidecar.start(), stopped])
      const { host, socket } = config
      if (!end.aborted) log.info(socket === undefined ? { host, port: sidecar.port } : { socket }, 'serving')
      await stopped
      log.info({ told: stop.aborted ? 'by a signal' : 'by a request' }, 'stopping')
    } finally {
      watch?.close()
      await sidecar.close()
    }
    return 0
  },
}

async function tracingOf({ databaseUrl }: Config, log: ReturnType<typeof createLog>): Promise<Tracing> {
  const { startTracing } = await import('../../telemetry/opentelemetry/tracing.js')
  return startTracing({ server: parseConnectionUrl(currentUrl(databaseUrl)), log })
}
