import { createServer } from 'node:net'

/** Sends the same bytes for any input without reading it: it measures the limit of the load generator. */
const { BODY = '', PORT } = process.env
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(BODY)}\r\n\r\n${BODY}`,
)
createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => {})
  socket.on('data', () => socket.write(answer))
}).listen(Number(PORT), '127.0.0.1')
// Not at once, so that a profiler can write what it saw.
process.once('SIGTERM', () => process.exit())
