import type { ListResponse } from '../../http-api.js'
import type { Command } from '../command.js'
import { refusal } from '../listener-client.js'
import { dataListener, urlOptions } from '../listeners.js'
import { withoutControls } from '../terminal-text.js'

const pageLimit = 1_000

/** Prints the keys in the database, one per line. Fails if it is stopped before the end of the list. */
export const list: Command = {
  options: {
    prefix: { type: 'string', value: 'TEXT', about: 'only keys that begin with TEXT' },
    json: { type: 'boolean', about: 'print a JSON object per line: key, version, size, time to live' },
    url: urlOptions.data,
  },
  settings: 'accepted',
  async run({ flags, values, environment, stop, out, isTerminal }) {
    const listener = await dataListener({ environment, values })
    const query = `prefix=${encodeURIComponent(values.get('prefix') ?? '')}&limit=${pageLimit}`
    let after: string | undefined = ''
    while (after !== undefined) {
      if (stop.aborted) return 1
      const answer = await listener.ask(`/v1/entries?${query}&after=${encodeURIComponent(after)}`)
      if (answer.status !== 200) throw refusal(answer)
      const { entries, next } = answer.body as unknown as ListResponse
      for (const entry of entries) {
        if (flags.has('json')) out(JSON.stringify(entry))
        else out(isTerminal ? withoutControls(entry.key) : entry.key)
      }
      after = next
    }
    return 0
  },
}
