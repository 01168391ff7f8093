import { Agent, request } from 'node:http'
import { smallKeys } from './loads.js'
import { token } from './target.js'

/**
 * Reads small entries, one after the other, until its standard input ends. Then prints statuses and latencies as JSON.
 * It is a separate process, because the loads keep theirs busy, which would delay the measurement.
 */
const port = Number(process.argv[2])
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
const statuses: Record<string, number> = {}
const latenciesMs: number[] = []
const pauseMs = 5

function hit(key: string): Promise<void> {
  return new Promise((resolve) => {
    const sentMs = performance.now()
    let status: number | undefined
    const sent = request({
      host: '127.0.0.1',
      port,
      agent,
      path: `/cache/get?key=${encodeURIComponent(key)}`,
      headers: { Authorization: `Bearer ${token}` },
    })
    sent.on('error', () => undefined)
    sent.on('response', (response) => {
      status = response.statusCode
      response.resume()
    })
    sent.on('close', () => {
      const name = status ?? 'unanswered'
      statuses[name] = (statuses[name] ?? 0) + 1
      latenciesMs.push(performance.now() - sentMs)
      resolve()
    })
    sent.end()
  })
}

let isOver = false
process.stdin.resume().on('end', () => {
  isOver = true
})
for (let n = 0; !isOver; n++) {
  await hit(smallKeys[n % smallKeys.length] as string)
  await new Promise((resolve) => setTimeout(resolve, pauseMs))
}
agent.destroy()
latenciesMs.sort((one, other) => one - other)
const quantileMs = (part: number) => latenciesMs[Math.floor(part * (latenciesMs.length - 1))] ?? 0
process.stdout.write(
  JSON.stringify({ statuses, p50Ms: quantileMs(0.5), p99Ms: quantileMs(0.99), maxMs: quantileMs(1) }),
)
