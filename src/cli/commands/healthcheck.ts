import { errorMessage } from '../../errors/error-message.js'
import type { Command } from '../command.js'
import { flagsOfFirstProcess } from '../first-process.js'
import { operationsListener, urlOptions } from '../listeners.js'
import { UsageError } from '../usage-error.js'

const timeoutMs = 2_000

/**
 * Checks if a sidecar is alive: the one of this environment, or the one whose operations listener `--url` names. In a
 * container, the flags of the sidecar count, too. It does not check the database, because no restart of the sidecar
 * would fix that.
 */
export const healthcheck: Command = {
  options: {
    url: urlOptions.operations,
  },
  settings: 'accepted',
  async run({ values, environment, out, note }) {
    const all = new Map([...(await flagsOfFirstProcess()), ...values])
    const listener = operationsListener({ environment, values: all }, { timeoutMs })
    try {
      const { status } = await listener.ask('/livez')
      if (status === 200) out('alive')
      else note(`${listener.name}: /livez answered ${status}`)
      return status === 200 ? 0 : 1
    } catch (error) {
      if (error instanceof UsageError) throw error
      note(errorMessage(error))
      return 1
    }
  },
}
