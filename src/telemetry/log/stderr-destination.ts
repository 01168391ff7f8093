import { fstatSync, writeSync } from 'node:fs'

/** Destination of lines that may be lost. */
export interface LineSink {
  /** Returns true if the line was accepted. An accepted line may still be lost; then `onLost` is called. */
  offer(line: string, onLost: () => void): boolean
}

/**
 * Passes lines to a sink, and never waits: a reader that has stopped reading, or a full disk, must neither block the
 * process nor end it. Lines that the sink does not accept are dropped and counted. The count is reported before the
 * next line that it accepts.
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

  /** Offers a line. If a report is lost, the lines that it counts are counted again. */
  #offer(line: string, lines: number): boolean {
    return this.#sink.offer(line, () => {
      this.#dropped += lines
    })
  }
}

/** Maximum size of the lines that wait for a reader of stderr. */
const maxBufferedBytes = 256 * 1024

interface BufferedStream {
  readonly writableLength: number
  write(text: string, done: (error?: Error | null) => void): unknown
  on(event: 'error', listener: () => void): unknown
}

/** Returns a sink for a stream: a pipe, a socket or a terminal. */
export function streamSink(stream: BufferedStream): LineSink {
  // Each write reports its own error. Without a listener, a closed pipe would end the process.
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

/** Returns a sink for a file. A write to a file does not wait for a reader, and is not lost when the process ends. */
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

/** Undocumented member of Node's streams for terminals. */
interface TerminalInternals {
  readonly _handle?: { setBlocking?(isBlocking: boolean): unknown } | null
}

/** Returns the sink for the stderr of this process. */
export function stderrSink(): LineSink {
  const stat = fstatSync(2)
  // Node waits for a terminal at each write. One that was stopped with Ctrl+S would stop the process.
  if (process.stderr.isTTY) (process.stderr as TerminalInternals)._handle?.setBlocking?.(false)
  const isStream = process.stderr.isTTY || stat.isFIFO() || stat.isSocket()
  return isStream ? streamSink(process.stderr) : fileSink(2)
}
