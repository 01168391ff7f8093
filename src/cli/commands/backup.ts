import { pipeline } from 'node:stream/promises'
import { loadConfig } from '../../config/load.js'
import { oneOf } from '../../config/parse.js'
import { copyOut } from '../../postgres/bulk/copy-out.js'
import { BackupFile } from '../../tools/backup/backup-file.js'
import { type Compression, compressionOf, compressions, compressor } from '../../tools/backup/compression.js'
import type { TrailerCounts } from '../../tools/backup/trailer.js'
import { writeBackup } from '../../tools/backup/write-backup.js'
import type { Command } from '../command.js'
import { nonClosing } from '../non-closing-writable.js'
import { parseOption } from '../parse-option.js'

/** Writes all entries, as they are at one moment, to a file or to stdout. */
export const backup: Command = {
  options: {
    file: { type: 'string', value: 'PATH', about: 'write to this file and not to stdout' },
    force: { type: 'boolean', about: 'replace an existing file' },
    compress: {
      type: 'string',
      value: 'FORMAT',
      about: 'gzip, zstd or none; by default the name of the file decides',
    },
    'no-bindings': { type: 'boolean', about: 'leave out the bindings of keys to tables and queries' },
    json: { type: 'boolean', about: 'print the result as JSON' },
  },
  settings: 'accepted',
  async run({ flags, values, environment, stop, out, note, progress, stdout }) {
    const path = values.get('file')
    const compress = compressor(compressionFrom(values.get('compress'), path))
    const { config } = loadConfig(environment, { flags: values })
    const startMs = performance.now()
    const file = path === undefined ? undefined : await BackupFile.create(path, { force: flags.has('force') })
    let tally: TrailerCounts = { entries: 0, bytes: 0 }
    let bindings = 0
    try {
      const takenAt = await copyOut({ url: config.databaseListenUrl, stop }, async (snapshot) => {
        const header = flags.has('no-bindings') ? { ...snapshot, bindings: [] } : snapshot
        bindings = header.bindings.length
        const pieces = writeBackup(header, snapshot.entries, (soFar) => {
          tally = soFar
          progress(`${soFar.entries.toLocaleString('en-US')} entries`)
        })
        const destination = file?.writable() ?? nonClosing(stdout())
        await pipeline(pieces, compress, destination, { signal: stop })
        return snapshot.takenAt
      }).catch(explain)
      await file?.finish()
      const seconds = (performance.now() - startMs) / 1_000
      if (flags.has('json')) {
        // Without a file, stdout has the backup itself.
        const tell = file ? out : note
        tell(
          JSON.stringify({
            entries: tally.entries,
            bindings,
            taken_at: takenAt,
            seconds: Number(seconds.toFixed(3)),
          }),
        )
      } else
        note(
          `${tally.entries.toLocaleString('en-US')} entries${bindingsText(bindings)} in ${seconds.toFixed(1)} s`,
        )
      return 0
    } finally {
      await file?.close()
    }
  },
}

function bindingsText(count: number): string {
  return count === 0 ? '' : `, ${count} ${count === 1 ? 'binding' : 'bindings'}`
}

function compressionFrom(text: string | undefined, path = ''): Compression {
  if (text === undefined) return compressionOf(path)
  return parseOption('backup', 'compress', text, oneOf(...compressions))
}

function explain(error: unknown): never {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE')
    throw new Error('stdout was closed before the backup was complete', { cause: error })
  throw error
}
