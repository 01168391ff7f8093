import { readdirSync } from 'node:fs'
import { extname } from 'node:path'
import { importTests } from './import-tests.js'

/** Unit tests that take seconds: their files run as processes of their own, beside the bundles. */
const slow = /\/core\/protocol\/(property|schedules)\.test\./

/** Imports every `of`-th file of unit tests, from the `first` one on, into this process. */
export function importUnitTests(first: number, of: number): void {
  const folder = new URL('../unit/', import.meta.url)
  // Of the same kind as this file, which may have been compiled.
  const end = `.test${extname(import.meta.url)}`
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => `/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith(end) && !slow.test(name))
    .sort()
  const mine = files.filter((_, index) => index % of === first)
  if (mine.length < 10) throw new Error(`only ${mine.length} files of unit tests were found`)
  importTests(mine.map((file) => new URL(`.${file}`, folder)))
}
