import { readdirSync } from 'node:fs'
import t from 'tap'

/** Unit tests that take seconds: their files run as processes of their own, beside the bundles. */
const slow = /\/core\/protocol\/(property|schedules)\.test\.ts$/

/**
 * Imports every `of`-th file of unit tests, from the `first` one on, into this process. Their tests become those of
 * this file. Most unit tests take a millisecond, and a process of their own a second.
 */
export function importUnitTests(first: number, of: number): void {
  const folder = new URL('../unit/', import.meta.url)
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => `/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.test.ts') && !slow.test(name))
    .sort()
  // Within a test, because tap ends a process of tests that has none left at some moment.
  t.test('the files of unit tests are imported', async (t) => {
    const mine = files.filter((_, index) => index % of === first)
    for (const file of mine) await import(new URL(`.${file}`, folder).href)
    t.ok(mine.length > 10)
  })
}
