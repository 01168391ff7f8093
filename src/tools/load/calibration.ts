import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { closedLoop } from './closed-loop.js'
import { HttpConnection } from './http-connection.js'

/** Code of a worker thread: a server that answers any data with the same prepared bytes. */
const server = `
  const { createServer } = require('node:net')
  const { parentPort } = require('node:worker_threads')
  const answer = 'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}'
  const server = createServer((socket) => {
    socket.setNoDelay()
    socket.on('error', () => {})
    socket.on('data', () => socket.write(answer))
  })
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))
`

/** Measures how many requests per second this process can send at most, against a server that does no work. */
export async function calibrate(connections: number, durationMs: number): Promise<number> {
  const worker = new Worker(server, { eval: true, execArgv: [] })
  try {
    const [port] = (await once(worker, 'message')) as [number]
    const request = Buffer.from('GET /cache/get?key=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    const all = await HttpConnection.openAll(Array.from({ length: connections }, () => ({ port })))
    let answered = 0
    const startMs = performance.now()
    await closedLoop({
      connections: all,
      next: () => (performance.now() - startMs < durationMs ? request : undefined),
      onAnswer: () => answered++,
    })
    const seconds = (performance.now() - startMs) / 1_000
    for (const connection of all) connection.close()
    return answered / seconds
  } finally {
    await worker.terminate()
  }
}
