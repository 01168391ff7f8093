import t from 'tap'

/**
 * Imports test files into this process. Their tests become those of this process. Each file is imported when the tests
 * of the one before have ended, so that what a file starts at its top does not wait for the tests of others. Many tests
 * take milliseconds, and a process of their own half a second.
 */
export function importTests([file, ...others]: readonly URL[]): void {
  // Within a test, because tap ends a process of tests that has none left at some moment.
  t.test('a test file is imported', async (t) => {
    t.type(file, URL)
    await import(String(file))
    if (others.length > 0) importTests(others)
  })
}
