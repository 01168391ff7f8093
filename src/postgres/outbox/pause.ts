/**
 * A pause that can be ended early. It does not keep the process alive. (A pause for each drain with an AbortSignal of
 * its own would leave something behind in the signal of the session, in Node 20.)
 */
export class Pause {
  /** Resolves when the pause is over. */
  readonly over: Promise<void>
  #end: () => void = () => undefined

  /** @param ms at most 2^31 - 1 */
  constructor(ms: number) {
    this.over = new Promise((resolve) => {
      const timer = setTimeout(resolve, ms).unref()
      this.#end = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  end(): void {
    this.#end()
  }
}
