import { createServer } from 'node:http'

/** Bare node:http: sends BODY for every request. HEADERS (JSON) come on top of Content-Type and Content-Length. */
const { BODY = '', HEADERS = '{}', PORT } = process.env
const headers = {
  ...JSON.parse(HEADERS),
  'Content-Type': 'application/json; charset=utf-8',
  'Content-Length': Buffer.byteLength(BODY),
}
createServer((_request, response) => {
  response.writeHead(200, headers)
  response.end(BODY)
}).listen(Number(PORT), '127.0.0.1')
// Not at once, so that a profiler can write what it saw.
process.once('SIGTERM', () => process.exit())
