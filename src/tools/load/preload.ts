import { closedLoop } from './closed-loop.js'
import { type HttpAddress, HttpConnection } from './http-connection.js'
import type { LoadRequest } from './requests.js'

export interface PreloadOptions {
  readonly address: HttpAddress
  readonly connections: number
  readonly count: number
  readonly make: (number: number) => LoadRequest
  readonly onProgress: (done: number) => void
  readonly stop?: AbortSignal
}

const progressEvery = 1_000

/**
 * Sends one request for each key, from 1 to `count`, as fast as they are answered. Resolves to the number of requests
 * sent, which is less than `count` only after a stop. Rejects if an answer is not 200.
 */
export async function preload(options: PreloadOptions): Promise<number> {
  const { address, connections, count, make, onProgress, stop } = options
  const all = await HttpConnection.openAll(
    Array.from({ length: Math.min(connections, count) }, () => address),
  )
  let sent = 0
  let done = 0
  let refused = 0
  try {
    await closedLoop({
      connections: all,
      next: () => (sent === count || refused > 0 || stop?.aborted ? undefined : make(++sent).bytes),
      onAnswer: (status) => {
        if (status !== 200) refused = status
        if (++done % progressEvery === 0) onProgress(done)
      },
    })
  } finally {
    for (const connection of all) connection.close()
  }
  if (refused > 0) throw new Error(`key ${sent} of ${count}: the sidecar answered ${refused}`)
  return sent
}
