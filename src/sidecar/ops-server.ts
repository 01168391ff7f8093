import type { Config } from '../config/config.js'
import { accessGuard } from '../http/access/access-guard.js'
import { allowedHosts } from '../http/access/allowed-hosts.js'
import type { WarningLog } from '../http/access/rare-warning.js'
import { type OpsListenerOptions, opsListener } from '../http/ops/ops-listener.js'
import { opsLimits } from '../http/server/connection-limits.js'
import { HttpServer } from '../http/server/server.js'
import { connectionWarnings } from './connection-warnings.js'

export interface OpsServerOptions extends Omit<OpsListenerOptions, 'log'> {
  readonly config: Pick<Config, 'opsHost' | 'opsPort' | 'allowedHosts'>
  readonly maxConnections: number
  readonly log: OpsListenerOptions['log'] & WarningLog
}

/** Creates the operations listener, with the same check of the Host header as the data listener. */
export function opsServer(options: OpsServerOptions): HttpServer {
  const { config, maxConnections, clock, log } = options
  const { opsHost: host, opsPort: port } = config
  const { onFull, onTurnedAway, onExcess } = connectionWarnings('operations', maxConnections, { clock, log })
  return new HttpServer({
    address: { host, port },
    limits: { ...opsLimits, maxConnections },
    // A probe or a scrape can be repeated.
    idleGraceMs: 0,
    onFull,
    onExcess,
    listener: accessGuard({
      hostCheck: allowedHosts(['localhost', host, ...config.allowedHosts]),
      token: undefined,
      requests: undefined,
      onTurnedAway,
      listener: opsListener(options),
    }),
  })
}
