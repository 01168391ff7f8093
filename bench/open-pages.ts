import { type ClientRequest, request } from 'node:http'

/** Interval at which a page asks for the fleet, in ms. */
const fleetIntervalMs = 5_000

/** Opens as many pages of a sidecar as browsers would, each with its stream. Returns a function that closes them. */
export async function openPages(ops: string, count: number): Promise<() => void> {
  const streams = Array.from({ length: count }, () => ask(`${ops}/ui/stream`))
  await Promise.all(streams.map(opened))
  const asking = setInterval(() => {
    for (let page = 0; page < count; page++) ask(`${ops}/ui/fleet`)
  }, fleetIntervalMs)
  return () => {
    clearInterval(asking)
    for (const stream of streams) stream.destroy()
  }
}

/** Resolves when the first event has begun to arrive. */
function opened(stream: ClientRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once('response', (response) => {
      if (response.statusCode === 200) response.once('data', () => resolve())
      else reject(new Error(`the page was answered with ${response.statusCode}`))
    })
    stream.once('error', reject)
  })
}

/** Sends a request, whose response is read and forgotten. */
function ask(url: string): ClientRequest {
  const sent = request(url)
  // A stream that is closed ends with an error.
  sent.on('response', (response) => response.on('error', () => undefined).resume())
  sent.on('error', () => undefined)
  return sent.end()
}
