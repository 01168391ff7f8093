import t from 'tap'

/**
 * Imports test files into this process, one after the other. Their tests become those of this process. Many tests take
 * milliseconds, and a process of their own half a second.
 */
export function importTests(files: readonly URL[]): void {
  // Within a test, because tap ends a process of tests that has none left at some moment.
  t.test('the test files are imported', async (t) => {
    for (const { href } of files) await import(href)
    t.ok(files.length > 0)
  })
}
