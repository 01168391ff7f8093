import { headerLine } from '../../src/tools/backup/header.js'
import { Trailer } from '../../src/tools/backup/trailer.js'
import { endOfEntries } from '../../src/tools/backup/write-backup.js'

export const backupHeader = {
  takenAt: new Date('2026-01-02T03:04:05.678Z'),
  columns: [
    { name: 'key', type: 'text' },
    { name: 'value', type: 'text' },
  ],
  bindings: [],
} as const

/** Returns a backup with these lines as entries and a valid checksum, even if COPY would reject the lines. */
export function backupText(lines: readonly string[], header = headerLine(backupHeader)): string {
  const seal = new Trailer()
  const entries = lines.map((line) => `${line}\n`).join('')
  seal.frame(header)
  seal.entries(Buffer.from(entries))
  seal.frame(endOfEntries)
  return `${header}${entries}${endOfEntries}${seal.line()}`
}
