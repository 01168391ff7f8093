import type { Command } from '../command.js'
import { keyArgument } from '../key-argument.js'
import { refusal } from '../listener-client.js'
import { dataListener, urlOptions } from '../listeners.js'
import { removed } from '../removal.js'
import { UsageError } from '../usage-error.js'

/** Deletes one entry, or all with a prefix. Succeeds even if there was none. */
export const del: Command = {
  options: {
    prefix: {
      type: 'string',
      value: 'TEXT',
      about: 'delete all entries whose key begins with TEXT',
      isOnce: true,
    },
    url: urlOptions.data,
  },
  settings: 'accepted',
  positionals: '[KEY]',
  async run({ values, positionals, environment, note }) {
    const prefix = values.get('prefix')
    if (prefix !== undefined && positionals.length > 0)
      throw new UsageError('del: name a key or --prefix, not both')
    const listener = await dataListener({ environment, values })
    if (prefix !== undefined) {
      note(`${await removed(listener, { prefix })} deleted`)
      return 0
    }
    const key = keyArgument('del', positionals)
    const answer = await listener.ask(`/cache/delete?key=${encodeURIComponent(key)}`, { method: 'DELETE' })
    if (answer.status !== 200) throw refusal(answer)
    if (answer.body.pending === true) note('pending: the sidecar deletes it when the database is available')
    else if (answer.body.db_removed === false) note('the entry did not exist in the database')
    return 0
  },
}
