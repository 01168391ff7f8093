/** Reports the progress of the run in one line on stderr, redrawn on a terminal, otherwise every ten seconds. */
export class Progress {
  readonly #describe: () => { readonly share: number; readonly text: string }
  readonly #isTerminal = process.stderr.isTTY === true
  #timer: NodeJS.Timeout | undefined

  constructor(describe: () => { readonly share: number; readonly text: string }) {
    this.#describe = describe
  }

  start(): void {
    this.#timer = setInterval(() => this.#draw(), this.#isTerminal ? 500 : 10_000)
  }

  stop(): void {
    clearInterval(this.#timer)
    if (this.#isTerminal) process.stderr.write('\r\x1b[K')
  }

  note(text: string): void {
    process.stderr.write(`${this.#isTerminal ? '\r\x1b[K' : ''}${text}\n`)
  }

  #draw(): void {
    const { share, text } = this.#describe()
    const percent = `${Math.floor(100 * share)}`.padStart(3)
    if (!this.#isTerminal) {
      process.stderr.write(`${percent} %  ${text}\n`)
      return
    }
    const full = Math.round(20 * share)
    const line = `[${'#'.repeat(full)}${'.'.repeat(20 - full)}] ${percent} %  ${text}`
    process.stderr.write(`\r\x1b[K${line.slice(0, (process.stderr.columns ?? 100) - 1)}`)
  }
}
