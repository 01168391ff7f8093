import type { Command } from '../command.js'
import { DataListener, refusal } from '../data-listener.js'
import { keyArgument } from '../key-argument.js'

/** Deletes one entry. Succeeds even if there was none. */
export const del: Command = {
  options: { url: { type: 'string' } },
  settings: true,
  positionals: true,
  async run({ values, positionals, environment, note }) {
    const key = keyArgument('del', positionals)
    const listener = await DataListener.of({ environment, values })
    const answer = await listener.ask(`/cache/delete?key=${encodeURIComponent(key)}`, { method: 'DELETE' })
    if (answer.status !== 200) throw refusal(answer)
    if (answer.body.pending === true) note('pending: the sidecar deletes it when the database is available')
    else if (answer.body.db_removed === false) note('the entry did not exist in the database')
    return 0
  },
}
