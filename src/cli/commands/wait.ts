import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigError } from '../../config/config-error.js'
import type { Environment } from '../../config/environment.js'
import { loadConfig } from '../../config/load.js'
import { errorMessage } from '../../errors/error-message.js'
import type { Command } from '../command.js'
import { connectUrl } from '../connect-host.js'
import { DataListener } from '../data-listener.js'
import { UsageError } from '../usage-error.js'

const pauseMs = 200

/**
 * Waits until the sidecar is ready: the one of this environment, or the one whose operations listener `--url` names.
 */
export const wait: Command = {
  options: { url: { type: 'string' }, timeout: { type: 'string' } },
  settings: true,
  async run({ values, environment, stop, note, progress }) {
    const seconds = Number(values.get('timeout') ?? '30')
    if (!(seconds >= 0 && seconds <= 86_400))
      throw new UsageError('wait: --timeout must be a number of seconds up to 86400')
    const listener = DataListener.at(values.get('url') ?? opsUrl(environment, values))
    const deadlineMs = performance.now() + seconds * 1_000
    for (;;) {
      const reason = await reasonNotReady(listener)
      if (reason === undefined) return 0
      if (performance.now() > deadlineMs || stop.aborted) {
        note(`not ready: ${reason}`)
        return 1
      }
      progress(`waiting: ${reason}`)
      await sleep(pauseMs, undefined, { signal: stop }).catch(() => undefined)
    }
  },
}

function opsUrl(environment: Environment, flags: ReadonlyMap<string, string>): string {
  const { opsHost, opsPort } = loadConfig(environment, { flags }).config
  if (opsPort === 0) throw new ConfigError('OPS_PORT: with 0 the port is not known; set a fixed port')
  return connectUrl(opsHost, opsPort)
}

async function reasonNotReady(listener: DataListener): Promise<string | undefined> {
  try {
    const { status, body } = await listener.ask('/readyz?verbose')
    return status === 200 ? undefined : [body.reasons].flat().join('; ')
  } catch (error) {
    return errorMessage(error)
  }
}
