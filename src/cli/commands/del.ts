import type { Command } from '../command.js'
import { keyArgument } from '../key-argument.js'
import { refusal } from '../listener-client.js'
import { dataListener, urlOptions } from '../listeners.js'

/** Deletes one entry. Succeeds even if there was none. */
export const del: Command = {
  options: {
    url: urlOptions.data,
  },
  settings: 'accepted',
  positionals: 'KEY',
  async run({ values, positionals, environment, note }) {
    const key = keyArgument('del', positionals)
    const listener = await dataListener({ environment, values })
    const answer = await listener.ask(`/cache/delete?key=${encodeURIComponent(key)}`, { method: 'DELETE' })
    if (answer.status !== 200) throw refusal(answer)
    if (answer.body.pending === true) note('pending: the sidecar deletes it when the database is available')
    else if (answer.body.db_removed === false) note('the entry did not exist in the database')
    return 0
  },
}
