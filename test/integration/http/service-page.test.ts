import t from 'tap'
import { cacheDatabase } from '../../support/database.js'
import { startSidecar } from '../../support/sidecar.js'

const { url } = await cacheDatabase(t)
const { client, sidecar } = await startSidecar(t, { databaseUrl: url })
const ask = (headers: Readonly<Record<string, string>>) => client.request('GET', '/', { headers })
const accept = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

t.test('a browser gets a short page that leads to the page of the operations listener', async (t) => {
  const { status, headers, text } = await ask({ Accept: accept })
  t.equal(status, 200)
  t.match(headers, { 'content-type': 'text/html; charset=utf-8', vary: 'Accept' })
  t.match(headers['content-security-policy'], /default-src 'none'/)
  t.match(text, `<a href="http://127.0.0.1:${sidecar.opsPort}/ui/">`)
  t.match((await ask({ Accept: accept, Host: '[::1]:8025' })).text, `http://[::1]:${sidecar.opsPort}/ui/`)
})

t.test('everybody else gets the same JSON as ever', async (t) => {
  const { text, headers } = await ask({})
  t.match(headers['content-type'], /^application\/json/)
  t.equal(headers.vary, undefined)
  for (const other of ['*/*', 'application/json', 'application/json, text/plain, */*'])
    t.equal((await ask({ Accept: other })).text, text, other)
})
