import type { Command } from '../command.js'
import { type ListenerClient, reasonOf, refusal } from '../listener-client.js'
import { dataListeners, dataUrlsOption } from '../listeners.js'
import { UsageError } from '../usage-error.js'

type Statistics = Readonly<Record<string, unknown>>

/** Counters of one of several sidecars, or the reason why there are none. */
type Answered = { readonly url: string } & ({ readonly statistics: Statistics } | { readonly error: string })

/**
 * Prints the counters of one sidecar, one per line. Of several sidecars, each line begins with the URL; those that
 * answer are printed even if others do not.
 */
export const stats: Command = {
  options: {
    json: { type: 'boolean', about: 'print them as JSON; of several sidecars, an array' },
    url: dataUrlsOption,
  },
  settings: 'accepted',
  async run({ flags, out, note, ...given }) {
    const listeners = await dataListeners(given)
    const [first, ...others] = listeners
    if (others.length === 0) {
      const statistics = await statisticsOf(first)
      if (flags.has('json')) out(JSON.stringify(statistics))
      else for (const line of statisticsLines(statistics)) out(line)
      return 0
    }
    const answers = await Promise.all(listeners.map(answered))
    if (flags.has('json')) out(JSON.stringify(answers))
    for (const answer of answers) {
      if ('error' in answer) note(answer.error)
      else if (!flags.has('json'))
        for (const line of statisticsLines(answer.statistics)) out(`${answer.url} ${line}`)
    }
    return answers.every((answer) => 'statistics' in answer) ? 0 : 1
  },
}

async function statisticsOf(listener: ListenerClient): Promise<Statistics> {
  const answer = await listener.ask('/cache/stats')
  if (answer.status !== 200) throw refusal(answer)
  return answer.body
}

async function answered(listener: ListenerClient): Promise<Answered> {
  try {
    return { url: listener.name, statistics: await statisticsOf(listener) }
  } catch (error) {
    if (error instanceof UsageError) throw error
    return { url: listener.name, error: `${listener.name}: ${reasonOf(error, listener)}` }
  }
}

/** Returns the lines, such as `feed.state live` for `{"feed":{"state":"live"}}`. */
function statisticsLines(body: Statistics, prefix = ''): string[] {
  return Object.entries(body).flatMap(([name, member]) =>
    typeof member === 'object' && member !== null
      ? statisticsLines(member as Statistics, `${prefix}${name}.`)
      : [`${prefix}${name} ${member}`],
  )
}
