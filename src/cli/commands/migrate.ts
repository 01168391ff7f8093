import { setTimeout as sleep } from 'node:timers/promises'
import { loadConfig } from '../../config/load.js'
import { mayBecomeReachable, messageOf } from '../../postgres/pool/errors.js'
import { migrate as applyMigrations } from '../../postgres/schema/migrate.js'
import { migrationStatus, pendingMigrations } from '../../postgres/schema/migration-status.js'
import type { Command } from '../command.js'
import { UsageError } from '../usage-error.js'

const defaultWaitSeconds = 60
const pauseMs = 500

/** Applies pending migrations, or only shows their status or what would be applied. */
export const migrate: Command = {
  options: {
    status: { type: 'boolean', about: 'list all migrations and their state' },
    'dry-run': { type: 'boolean', about: 'list what would be applied' },
    owner: {
      type: 'string',
      value: 'ROLE',
      about: 'make this role the owner of everything that belongs to the cache',
    },
    wait: {
      type: 'string',
      value: 'SECONDS',
      about: 'wait this long for a database that refuses connections (60)',
    },
  },
  settings: 'accepted',
  async run({ flags, values, environment, stop, out, note }) {
    if (flags.size > 1) throw new UsageError('migrate: --status and --dry-run exclude each other')
    const waitMs = 1_000 * secondsOf(values.get('wait'))
    const { config } = loadConfig(environment, { flags: values })
    const url = config.databaseListenUrl
    const reach = <T>(work: () => Promise<T>) => onceReachable(work, { waitMs, stop, note })
    if (flags.has('status')) {
      for (const { name, state } of await reach(() => migrationStatus(url)))
        out(`${state.padEnd(10)} ${name}`)
      return 0
    }
    if (flags.has('dry-run')) {
      const pending = await reach(() => pendingMigrations(url))
      for (const name of pending) out(name)
      note(`${pending.length} to apply; nothing was changed`)
      return 0
    }
    const applied = await reach(() => applyMigrations(url, { owner: values.get('owner') }))
    for (const name of applied) out(name)
    note(applied.length === 0 ? 'nothing to apply' : `${applied.length} applied`)
    return 0
  },
}

function secondsOf(text: string | undefined): number {
  if (text === undefined) return defaultWaitSeconds
  if (!/^\d{1,5}$/.test(text)) throw new UsageError('migrate: --wait must be a whole number of seconds')
  return Number(text)
}

interface WaitOptions {
  readonly waitMs: number
  readonly stop: AbortSignal
  readonly note: (line: string) => void
}

/** Repeats `work` for up to `waitMs` while the database cannot be reached. Reports each new reason once. */
async function onceReachable<T>(work: () => Promise<T>, { waitMs, stop, note }: WaitOptions): Promise<T> {
  const deadlineMs = performance.now() + waitMs
  let toldReason = ''
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!mayBecomeReachable(error) || performance.now() >= deadlineMs || stop.aborted) throw error
      const reason = messageOf(error)
      if (reason !== toldReason) note(`waiting for the database, for up to ${waitMs / 1_000} s: ${reason}`)
      toldReason = reason
      await sleep(pauseMs, undefined, { signal: stop }).catch(() => undefined)
    }
  }
}
