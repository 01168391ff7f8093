/** Thrown by a check that this machine cannot run. The message is the reason. */
export class CannotRun extends Error {}

/** Time after which no further check is begun. What is left is counted as not run. */
const limitMs = 10 * 60_000

/** Runs checks one after another, and counts those that failed and those that could not run. */
export class CheckList {
  readonly #endMs = performance.now() + limitMs
  readonly #failed: string[] = []
  readonly #notRun: string[] = []
  #count = 0
  #obstacle: string | undefined

  /** Counts all further checks as not run, for this reason. */
  runNoMore(reason: string): void {
    this.#obstacle = reason
  }

  /** Runs a check. It fails if `run` throws. Resolves to true if it passed. */
  async check(name: string, run: () => Promise<void>): Promise<boolean> {
    const number = ++this.#count
    const begunMs = performance.now()
    const took = () => `# time=${Math.round(performance.now() - begunMs)}ms`
    try {
      if (this.#obstacle !== undefined) throw new CannotRun(this.#obstacle)
      if (begunMs > this.#endMs) throw new CannotRun(`the checks before took ${limitMs / 60_000} minutes`)
      await run()
      console.log(`ok ${number} - ${name} ${took()}`)
      return true
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (error instanceof CannotRun) {
        this.#notRun.push(`${name}: ${reason}`)
        console.log(`ok ${number} - ${name} # SKIP ${reason.split('\n')[0]}`)
      } else {
        this.#failed.push(`${name}: ${reason}`)
        console.log(`not ok ${number} - ${name} ${took()}\n${error instanceof Error ? error.stack : reason}`)
      }
      return false
    }
  }

  /** Prints the result, with what could not run last. Returns the exit code. */
  end(): number {
    const passed = this.#count - this.#failed.length - this.#notRun.length
    console.log(
      `1..${this.#count}\n# ${passed} checks passed, ${this.#failed.length} failed, ${this.#notRun.length} could not run`,
    )
    for (const line of this.#failed) console.log(`# failed: ${line.split('\n')[0]}`)
    for (const line of this.#notRun) console.log(`# not run: ${line.split('\n')[0]}`)
    return this.#failed.length === 0 ? 0 : 1
  }
}
