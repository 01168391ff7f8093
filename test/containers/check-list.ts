/** Thrown by a check that this machine cannot run. The message is the reason. */
export class CannotRun extends Error {}

export interface CheckListOptions {
  /** Time after which no further check that may be left out begins. */
  readonly limitMs: number
  readonly print: (text: string) => void
}

/** Runs checks one after another, and counts those that failed and those that could not run. */
export class CheckList {
  readonly #options: CheckListOptions
  readonly #begunMs = performance.now()
  readonly #failed: string[] = []
  readonly #notRun: string[] = []
  #count = 0
  #obstacle: string | undefined

  constructor(options: CheckListOptions) {
    this.#options = options
  }

  /** Counts all further checks as not run, for this reason. */
  runNoMore(reason: string): void {
    this.#obstacle = reason
  }

  /** Throws CannotRun if the checks before have taken long, for a check that may then be left out. */
  requireTime(): void {
    const { limitMs } = this.#options
    if (performance.now() - this.#begunMs >= limitMs)
      throw new CannotRun(`the checks before took ${limitMs / 60_000} minutes`)
  }

  /** Runs a check. It fails if `run` throws. Resolves to true if it passed. */
  async check(name: string, run: () => Promise<void>): Promise<boolean> {
    const number = ++this.#count
    const begunMs = performance.now()
    const took = () => `# time=${Math.round(performance.now() - begunMs)}ms`
    try {
      if (this.#obstacle !== undefined) throw new CannotRun(this.#obstacle)
      await run()
      this.#options.print(`ok ${number} - ${name} ${took()}`)
      return true
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (error instanceof CannotRun) {
        this.#notRun.push(`${name}: ${reason}`)
        this.#options.print(`ok ${number} - ${name} # SKIP ${reason.split('\n')[0]}`)
      } else {
        this.#failed.push(`${name}: ${reason}`)
        this.#options.print(
          `not ok ${number} - ${name} ${took()}\n${error instanceof Error ? error.stack : reason}`,
        )
      }
      return false
    }
  }

  /** Prints the result, with what could not run last. Returns the exit code. */
  end(): number {
    const passed = this.#count - this.#failed.length - this.#notRun.length
    this.#options.print(
      `1..${this.#count}\n# ${passed} checks passed, ${this.#failed.length} failed, ${this.#notRun.length} could not run`,
    )
    for (const line of this.#failed) this.#options.print(`# failed: ${line.split('\n')[0]}`)
    for (const line of this.#notRun) this.#options.print(`# not run: ${line.split('\n')[0]}`)
    return this.#failed.length === 0 ? 0 : 1
  }
}
