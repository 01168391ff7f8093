import type { Command } from '../command.js'
import { dataListener, urlOptions } from '../listeners.js'
import { removed } from '../removal.js'
import { UsageError } from '../usage-error.js'

/** Removes entries, and prints how many there were in the database. */
export const invalidate: Command = {
  options: {
    group: { type: 'string', value: 'NAME', about: 'entries of this group', isOnce: true },
    prefix: { type: 'string', value: 'TEXT', about: 'entries whose key begins with TEXT', isOnce: true },
    all: { type: 'boolean', about: 'all entries' },
    url: urlOptions.data,
  },
  settings: 'accepted',
  positionals: '[KEY...]',
  async run({ flags, values, positionals, environment, out }) {
    const group = values.get('group')
    const selection = {
      ...(positionals.length > 0 && { keys: positionals }),
      ...(group !== undefined && { groups: [group] }),
      ...(values.has('prefix') && { prefix: values.get('prefix') }),
      ...(flags.has('all') && { all: true }),
    }
    if (Object.keys(selection).length === 0)
      throw new UsageError('invalidate: name keys, --group, --prefix or --all')
    if (flags.has('all') && Object.keys(selection).length > 1)
      throw new UsageError('invalidate: --all excludes keys, --group and --prefix')
    const listener = await dataListener({ environment, values })
    out(`${await removed(listener, selection)} removed`)
    return 0
  },
}
