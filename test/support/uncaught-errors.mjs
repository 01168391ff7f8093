/**
 * Lets an error that nobody catches fail the test that is running.
 *
 * @param {import('tap').TAP} tap the root of the tests
 */
export function failTestsByUncaughtErrors(tap) {
  process.setUncaughtExceptionCaptureCallback((error) => {
    let running = tap
    while (running.activeSubtests.size > 0) running = [...running.activeSubtests].at(-1)
    running.hookDomain.onerror(error, 'uncaughtException')
  })
}
