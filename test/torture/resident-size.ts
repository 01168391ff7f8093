import { readFileSync } from 'node:fs'

const sampleMs = 100

/** Samples the resident size of a process. Linux only. */
export class ResidentSize {
  readonly #pid: number
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = []
  readonly #timer: NodeJS.Timeout

  constructor(pid: number) {
    this.#pid = pid
    this.#timer = setInterval(() => this.#sample(), sampleMs)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Largest size that the kernel has seen, as of the last sample. */
  peakBytes = 0

  /** Returns the peak of each third of the time since the first sample. */
  peaksByThird(): readonly [number, number, number] {
    const first = this.#samples[0]?.atMs ?? 0
    const durationMs = (this.#samples.at(-1)?.atMs ?? 0) - first
    const peaks: [number, number, number] = [0, 0, 0]
    for (const { atMs, bytes } of this.#samples) {
      const third = Math.min(2, Math.floor((3 * (atMs - first)) / durationMs)) as 0 | 1 | 2
      peaks[third] = Math.max(peaks[third], bytes)
    }
    return peaks
  }

  #sample(): void {
    let status: string
    try {
      status = readFileSync(`/proc/${this.#pid}/status`, 'utf8')
    } catch {
      // The process has ended, which its parent knows.
      return
    }
    const bytes = bytesIn(status, 'VmRSS')
    if (bytes === undefined) return
    this.#samples.push({ atMs: performance.now(), bytes })
    this.peakBytes = bytesIn(status, 'VmHWM') ?? bytes
  }
}

function bytesIn(status: string, name: string): number | undefined {
  const kibibytes = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024
}
