/**
 * Takes the place of `async-hook-domain` in tap, which listens to the creation and the end of every promise so that an
 * error that nobody catches fails the test whose asynchronous calls led to it. That takes up to two fifths of the CPU
 * time of tests. Here it fails the test that is running.
 */
export class Domain {
  constructor(onerror) {
    this.onerror = onerror
  }

  destroy() {}
}

/** @param {import('tap').TAP} tap the root of the tests */
export function failTestsByUncaughtErrors(tap) {
  process.setUncaughtExceptionCaptureCallback((error) => {
    let running = tap
    while (running.activeSubtests.size > 0) running = [...running.activeSubtests].at(-1)
    running.hookDomain.onerror(error, 'uncaughtException')
  })
}
