import { get } from 'node:http'
import { ConfigError } from '../../config/config-error.js'
import { loadConfig } from '../../config/load.js'
import { errorMessage } from '../../errors/error-message.js'
import type { Command } from '../command.js'
import { connectHost } from '../connect-host.js'

const timeoutMs = 2_000

/**
 * Checks if the sidecar of this environment is alive. It does not check the database, because no restart of the sidecar
 * would fix that.
 */
export const healthcheck: Command = {
  options: {},
  settings: true,
  async run({ values, environment, out, note }) {
    const { opsHost, opsPort } = loadConfig(environment, { flags: values }).config
    if (opsPort === 0) throw new ConfigError('OPS_PORT: with 0 the port is not known; set a fixed port')
    try {
      const status = await statusOf(connectHost(opsHost), opsPort)
      if (status === 200) out('alive')
      else note(`/livez answered ${status}`)
      return status === 200 ? 0 : 1
    } catch (error) {
      note(`/livez: ${errorMessage(error)}`)
      return 1
    }
  },
}

function statusOf(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs)
    signal.addEventListener('abort', () => reject(new Error(`no answer within ${timeoutMs} ms`)))
    get({ host, port, path: '/livez', agent: false, signal }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on('error', reject)
  })
}
