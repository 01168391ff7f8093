const intervalMs = 10_000

export interface ProgressStream {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/**
 * Writes notes and progress to one stream. On a terminal the progress is the last line, rewritten in place. Otherwise
 * it is one line every 10 s.
 */
export class ProgressLine {
  readonly #stream: ProgressStream
  readonly #nowMs: () => number
  #shown = ''
  #lastMs: number

  constructor(stream: ProgressStream, nowMs: () => number = () => performance.now()) {
    this.#stream = stream
    this.#nowMs = nowMs
    this.#lastMs = nowMs()
  }

  progress(line: string): void {
    if (this.#stream.isTTY) {
      const { columns = 80 } = this.#stream
      this.#shown = line.slice(0, columns - 1)
      this.#stream.write(`\r\x1b[2K${this.#shown}`)
    } else if (this.#nowMs() - this.#lastMs >= intervalMs) {
      this.#lastMs = this.#nowMs()
      this.#stream.write(`${line}\n`)
    }
  }

  note(line: string): void {
    this.#stream.write(this.#shown === '' ? `${line}\n` : `\r\x1b[2K${line}\n${this.#shown}`)
  }

  /** Ends the progress line, so that the next output begins on a new line. Idempotent. */
  end(): void {
    if (this.#shown !== '') this.#stream.write('\n')
    this.#shown = ''
  }
}
