import t from 'tap'
import { serve } from '../../support/child-process.js'
import { cacheDatabase } from '../../support/database.js'
import { exchange } from '../../support/raw-http.js'
import { startLiveSidecar } from '../../support/sidecar.js'

/** Origins that a browser sends with a POST; a sandboxed page has `null`. */
const origins = ['https://page.example', 'null']
const body = JSON.stringify({ key: 'foo', value: 'by a page' })

t.test('a page cannot set an entry by a body without a Content-Type', async (t) => {
  const { url } = await cacheDatabase(t)
  const { client, sidecar } = await startLiveSidecar(t, { databaseUrl: url })
  const untyped = (...headers: readonly string[]) => {
    const head = ['POST /cache/set HTTP/1.1', 'Host: localhost', 'Connection: close', ...headers]
    return exchange(sidecar.port, [...head, `Content-Length: ${body.length}`, '', body].join('\r\n'))
  }
  for (const Origin of origins) t.match(await untyped(`Origin: ${Origin}`), /^HTTP\/1.1 415 /, Origin)
  t.equal((await client.get('foo')).status, 404)
  t.match(await untyped(), /^HTTP\/1.1 200 /, 'a program may, as with the original service')
})

t.test('a page cannot stop a sidecar', async (t) => {
  const { url } = await cacheDatabase(t)
  const sidecar = await serve(t, { DATABASE_URL: url, CACHE_SHUTDOWN_ENDPOINT: 'on' })
  const { client, exited } = sidecar
  for (const Origin of origins)
    t.equal((await client.request('POST', '/v1/shutdown', { headers: { Origin } })).status, 403, Origin)
  t.equal((await client.request('GET', '/health')).status, 200)
  t.equal((await client.request('POST', '/v1/shutdown')).status, 202)
  t.strictSame(await exited, { code: 0, signal: null })
  t.match(
    sidecar.log.find(({ msg }) => msg === 'stopping'),
    { told: 'by a request' },
  )
})
