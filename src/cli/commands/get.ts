import { elementTexts, memberText } from '../../json/json-source.js'
import type { Command, CommandInput } from '../command.js'
import { type ListenerClient, refusal } from '../listener-client.js'
import { dataListener, urlOptions } from '../listeners.js'
import { withoutControls } from '../terminal-text.js'
import { UsageError } from '../usage-error.js'

/** Exit code if it is not known whether there is an entry, so that scripts can tell that from no entry (1). */
const failed = 3

/**
 * Prints the value of one key: a string as it is, anything else as JSON. Of several keys it prints a JSON object per
 * entry. Exits with 1 only if there is no entry for one of the keys.
 */
export const get: Command = {
  failureCode: failed,
  options: {
    strong: { type: 'boolean', about: 'ask the database: the latest acknowledged value' },
    json: { type: 'boolean', about: 'print the whole response' },
    url: urlOptions.data,
  },
  settings: 'accepted',
  positionals: 'KEY...',
  async run(input) {
    const { values, positionals, environment } = input
    const [key, ...more] = positionals
    if (key === undefined) throw new UsageError('get: name at least one key')
    const listener = await dataListener({ environment, values })
    return more.length === 0 ? getOne(listener, key, input) : getSeveral(listener, positionals, input)
  },
}

type Output = Pick<CommandInput, 'flags' | 'out' | 'note' | 'isTerminal'>

function headersOf(flags: ReadonlySet<string>): Record<string, string> {
  return flags.has('strong') ? { 'Cache-Control': 'no-cache' } : {}
}

async function getOne(
  listener: ListenerClient,
  key: string,
  { flags, out, note, isTerminal }: Output,
): Promise<number> {
  const headers = headersOf(flags)
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
}

async function getSeveral(
  listener: ListenerClient,
  keys: readonly string[],
  { flags, out, note }: Output,
): Promise<number> {
  const answer = await listener.ask('/v1/entries:get', {
    method: 'POST',
    headers: headersOf(flags),
    body: JSON.stringify({ keys }),
  })
  if (answer.status !== 200) throw refusal(answer)
  const missing = answer.body.missing as string[]
  if (flags.has('json')) out(answer.text)
  else for (const entry of elementTexts(memberText(answer.text, 'entries') ?? '[]')) out(entry)
  for (const key of missing) note(`no such entry: ${JSON.stringify(key)}`)
  return missing.length > 0 ? 1 : 0
}
