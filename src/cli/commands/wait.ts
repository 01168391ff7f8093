import { setTimeout as sleep } from 'node:timers/promises'
import { errorMessage } from '../../errors/error-message.js'
import type { Command } from '../command.js'
import type { ListenerClient } from '../listener-client.js'
import { operationsListener, urlOptions } from '../listeners.js'
import { UsageError } from '../usage-error.js'

const pauseMs = 200

/**
 * Waits until the sidecar is ready: the one of this environment, or the one whose operations listener `--url` names.
 */
export const wait: Command = {
  options: {
    timeout: { type: 'string', value: 'SECONDS', about: 'maximum time to wait (30)' },
    url: urlOptions.operations,
  },
  settings: 'accepted',
  async run({ values, environment, stop, note, progress }) {
    const seconds = Number(values.get('timeout') ?? '30')
    if (!(seconds >= 0 && seconds <= 86_400))
      throw new UsageError('wait: --timeout must be a number of seconds up to 86400')
    const listener = operationsListener({ environment, values })
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

async function reasonNotReady(listener: ListenerClient): Promise<string | undefined> {
  try {
    const { status, body } = await listener.ask('/readyz?verbose')
    return status === 200 ? undefined : [body.reasons].flat().join('; ')
  } catch (error) {
    if (error instanceof UsageError) throw error
    return errorMessage(error)
  }
}
