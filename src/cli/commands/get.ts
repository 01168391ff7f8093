import { memberText } from '../../json/json-source.js'
import type { Command } from '../command.js'
import { keyArgument } from '../key-argument.js'
import { refusal } from '../listener-client.js'
import { dataListener, urlOptions } from '../listeners.js'
import { withoutControls } from '../terminal-text.js'

/** Exit code if it is not known whether there is an entry, so that scripts can tell that from no entry (1). */
const failed = 3

/** Prints a value: a string as it is, anything else as JSON. Exits with 1 only if there is no entry. */
export const get: Command = {
  failureCode: failed,
  options: {
    strong: { type: 'boolean', about: 'ask the database: the latest acknowledged value' },
    json: { type: 'boolean', about: 'print the whole response' },
    url: urlOptions.data,
  },
  settings: 'accepted',
  positionals: 'KEY',
  async run({ flags, values, positionals, environment, out, note, isTerminal }) {
    const key = keyArgument('get', positionals)
    const headers: Record<string, string> = flags.has('strong') ? { 'Cache-Control': 'no-cache' } : {}
    const listener = await dataListener({ environment, values })
    const answer = await listener.ask(`/cache/get?key=${encodeURIComponent(key)}`, { headers })
    if (answer.status === 404) {
      note('no such entry')
      return 1
    }
    if (answer.status !== 200) throw refusal(answer)
    const { value, stale } = answer.body
    if (stale === true) note('stale: the value is not proven to be current')
    const ofValue = typeof value === 'string' ? value : memberText(answer.text, 'value')
    const text = flags.has('json') || ofValue === undefined ? answer.text : ofValue
    out(isTerminal ? withoutControls(text) : text)
    return 0
  },
}
