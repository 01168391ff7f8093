import { open } from 'node:fs/promises'
import { addAbortSignal } from 'node:stream'
import { loadConfig } from '../../config/load.js'
import { oneOf } from '../../config/parse.js'
import type { BindingSession } from '../../postgres/bindings/binding-session.js'
import { stoppedInTime } from '../../postgres/bulk/long-transaction.js'
import { type Restored, restoreEntries, restoreModes } from '../../postgres/bulk/restore-entries.js'
import { decompressed } from '../../tools/backup/compression.js'
import { readBackup } from '../../tools/backup/read-backup.js'
import { type RestoredBindings, restoreBindings } from '../../tools/bindings/restoration.js'
import type { Command } from '../command.js'
import { parseOption } from '../parse-option.js'
import { UsageError } from '../usage-error.js'

/** Restores the entries of a backup in one transaction, while sidecars and their clients keep running. */
export const restore: Command = {
  options: {
    file: { type: 'string', value: 'PATH', about: 'read this file and not stdin' },
    mode: { type: 'string', value: 'MODE', about: 'merge, missing or replace (merge)' },
    'no-bindings': { type: 'boolean', about: 'leave the bindings of keys to tables and queries as they are' },
    json: { type: 'boolean', about: 'print the result as JSON' },
  },
  settings: 'accepted',
  async run({ flags, values, environment, stop, out, note, progress, stdin }) {
    const path = values.get('file')
    const mode = parseOption('restore', 'mode', values.get('mode') ?? 'merge', oneOf(...restoreModes))
    const { config } = loadConfig(environment, { flags: values })
    const startMs = performance.now()
    const source = path === undefined ? stdin() : (await open(path)).createReadStream()
    if ('isTTY' in source && source.isTTY)
      throw new UsageError('restore: name the backup by --file, or send it to stdin')
    try {
      // A stop ends the source, and so everything that waits for it.
      addAbortSignal(stop, source)
      const { header, entries } = await readBackup(decompressed(source))
      const definitions = flags.has('no-bindings') ? [] : header.bindings
      let bindings: RestoredBindings = { bound: 0, refused: [] }
      const bind = async (session: BindingSession) => {
        bindings = await restoreBindings(session, definitions, { onlyMissing: mode === 'missing' })
      }
      const restored = await restoreEntries({
        url: config.databaseListenUrl,
        stop,
        mode,
        columns: header.columns,
        entries: entries((soFar) => progress(`${soFar.entries.toLocaleString('en-US')} entries read`)),
        onStaged: () => progress('the backup is complete; writing to the table'),
        bind: definitions.length > 0 ? bind : undefined,
      })
      for (const line of bindings.refused) note(line)
      const seconds = (performance.now() - startMs) / 1_000
      if (flags.has('json'))
        out(
          JSON.stringify({
            mode,
            ...restored,
            bindings: { bound: bindings.bound, refused: bindings.refused.length },
            taken_at: header.takenAt,
            seconds: Number(seconds.toFixed(3)),
          }),
        )
      else note(`${textOf(restored)}${boundText(bindings)} in ${seconds.toFixed(1)} s`)
      return bindings.refused.length === 0 ? 0 : 1
    } catch (error) {
      // The source was ended before there was a transaction.
      if (stop.aborted && error instanceof Error && error.name === 'AbortError')
        throw new Error(stoppedInTime, { cause: error })
      throw error
    } finally {
      source.destroy()
    }
  },
}

function boundText({ bound }: RestoredBindings): string {
  return bound === 0 ? '' : `, ${bound} bound`
}

function textOf(restored: Restored): string {
  return Object.entries(restored)
    .map(([name, count]) => `${count.toLocaleString('en-US')} ${name}`)
    .join(', ')
}
