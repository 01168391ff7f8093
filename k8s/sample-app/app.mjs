// GET /?key=foo answers with what the sidecar says of foo.
import { createServer } from 'node:http'

const { CACHE_URL = 'http://127.0.0.1:8025', PORT = '8080' } = process.env

const server = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://app')
  if (pathname === '/healthz') return response.end('ok\n')
  try {
    const query = new URLSearchParams({ key: searchParams.get('key') ?? 'foo' })
    const answer = await fetch(`${CACHE_URL}/cache/get?${query}`, { signal: AbortSignal.timeout(5_000) })
    response.writeHead(answer.status, { 'Content-Type': 'application/json' }).end(await answer.text())
  } catch (error) {
    console.error(error)
    response.writeHead(502).end('the sidecar cannot be reached\n')
  }
})
server.listen(PORT, () => console.log(`listening on ${server.address().port}`))

// Finishes what is under way and ends: the sidecar outlives it.
process.on('SIGTERM', () => server.close())
