import { loadConfig } from '../config/load.js'
import { migrate as applyMigrations, migrationStatus } from '../postgres/migrate.js'
import type { Command } from './command.js'
import { UsageError } from './usage-error.js'

/** Brings the schema up to date, or only says what is there and what would be done. */
export const migrate: Command = {
  options: { status: { type: 'boolean' }, 'dry-run': { type: 'boolean' } },
  settings: true,
  async run({ flags, values, environment, out, note }) {
    if (flags.size > 1) throw new UsageError('migrate: --status and --dry-run exclude each other')
    const { config } = loadConfig(environment, { flags: values })
    const url = config.databaseListenUrl
    if (flags.has('status')) {
      for (const { name, state } of await migrationStatus(url)) out(`${state.padEnd(8)} ${name}`)
      return 0
    }
    if (flags.has('dry-run')) {
      const pending = (await migrationStatus(url)).filter(({ state }) => state === 'pending')
      for (const { name } of pending) out(name)
      note(`${pending.length} to apply; nothing was changed`)
      return 0
    }
    const applied = await applyMigrations(url)
    for (const name of applied) out(name)
    note(applied.length === 0 ? 'nothing to apply' : `${applied.length} applied`)
    return 0
  },
}
