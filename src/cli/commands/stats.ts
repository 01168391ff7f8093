import type { Command } from '../command.js'
import { refusal } from '../listener-client.js'
import { dataListener, urlOptions } from '../listeners.js'

/** Prints the counters of the sidecar, one per line. */
export const stats: Command = {
  options: {
    json: { type: 'boolean', about: 'print them as JSON' },
    url: urlOptions.data,
  },
  settings: 'accepted',
  async run({ flags, values, environment, out }) {
    const listener = await dataListener({ environment, values })
    const answer = await listener.ask('/cache/stats')
    if (answer.status !== 200) throw refusal(answer)
    if (flags.has('json')) out(JSON.stringify(answer.body))
    else for (const line of statisticsLines(answer.body)) out(line)
    return 0
  },
}

/** Returns the lines, such as `feed.state live` for `{"feed":{"state":"live"}}`. */
function statisticsLines(body: Readonly<Record<string, unknown>>, prefix = ''): string[] {
  return Object.entries(body).flatMap(([name, member]) =>
    typeof member === 'object' && member !== null
      ? statisticsLines(member as Record<string, unknown>, `${prefix}${name}.`)
      : [`${prefix}${name} ${member}`],
  )
}
