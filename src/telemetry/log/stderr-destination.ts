import { fstatSync, writeSync } from 'node:fs'

/** Where lines go that may be lost. */
export interface LineSink {
  /** Returns true if the line was taken. A line that is taken may still be lost: `onLost` says so. */
  offer(line: string, onLost: () => void): boolean
}

/**
 * Hands lines to a sink, and never waits: a reader that has stopped reading, or a full disk, must neither block the process nor
 * end it. Lines that the sink does not take are dropped and counted, and the count is told in front of the next line that it takes.
 */
export class LossyDestination {
  readonly #sink: LineSink
  readonly #report: (dropped: number) => string
  #dropped = 0

  constructor(sink: LineSink, report: (dropped: number) => string) {
    this.#sink = sink
    this.#report = report
  }

  write(line: string): void {
    const lost = this.#dropped
    if (lost > 0) {
      if (this.#offer(this.#report(lost), lost)) this.#dropped -= lost
      else {
        this.#dropped++
        return
      }
    }
    if (!this.#offer(line, 1)) this.#dropped++
  }

  /** A report that is lost stands for the lines that it counts. */
  #offer(line: string, lines: number): boolean {
    return this.#sink.offer(line, () => {
      this.#dropped += lines
    })
  }
}

/** Lines that wait for a reader of stderr take up to this much memory. */
const maxBufferedBytes = 256 * 1024

interface BufferedStream {
  readonly writableLength: number
  write(text: string, done: (error?: Error | null) => void): unknown
  on(event: 'error', listener: () => void): unknown
}

/** A sink that is a stream: a pipe, a socket or a terminal. */
export function streamSink(stream: BufferedStream): LineSink {
  // Each write tells its own error; without a listener a closed pipe would end the process.
  stream.on('error', () => undefined)
  return {
    offer: (line, onLost) => {
      if (stream.writableLength > maxBufferedBytes) return false
      stream.write(line, (error) => {
        if (error) onLost()
      })
      return true
    },
  }
}

/** A sink that is a file. Writing to one does not wait for a reader, and what was written is there when the process ends. */
export function fileSink(fd: number): LineSink {
  let isCut = false
  return {
    offer: (line) => {
      const bytes = Buffer.from(isCut ? `\n${line}` : line)
      try {
        const written = writeSync(fd, bytes)
        isCut = written < bytes.length && (isCut || written > 0)
        return written === bytes.length
      } catch {
        return false
      }
    },
  }
}

/** The sink for the stderr of this process. */
export function stderrSink(): LineSink {
  const stat = fstatSync(2)
  const isStream = process.stderr.isTTY || stat.isFIFO() || stat.isSocket()
  return isStream ? streamSink(process.stderr) : fileSink(2)
}
