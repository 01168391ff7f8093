import { request } from 'node:http'

/** Interval at which a page asks for the fleet, in ms. */
const fleetIntervalMs = 5_000

/** Opens as many pages of a sidecar as browsers would, each with its stream. Returns a function that closes them. */
export async function openPages(ops: string, count: number): Promise<() => void> {
  const closing = new AbortController()
  const { signal } = closing
  await Promise.all(Array.from({ length: count }, () => opened(`${ops}/ui/stream`, signal)))
  const asking = setInterval(() => {
    for (let page = 0; page < count; page++) ask(`${ops}/ui/fleet`, signal)
  }, fleetIntervalMs)
  return () => {
    clearInterval(asking)
    closing.abort()
  }
}

/** Resolves when the first event has begun to arrive. The rest is read and forgotten. */
function opened(url: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = ask(url, signal)
    sent.once('response', (response) => {
      if (response.statusCode === 200) response.once('data', () => resolve())
      else reject(new Error(`${url}: ${response.statusCode}`))
    })
    sent.once('error', reject)
  })
}

function ask(url: string, signal: AbortSignal) {
  const sent = request(url, { signal })
  sent.on('response', (response) => response.on('error', () => undefined).resume())
  // Closing the pages ends what is under way.
  sent.on('error', () => undefined)
  sent.end()
  return sent
}
