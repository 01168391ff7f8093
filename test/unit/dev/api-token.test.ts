/** With CACHE_API_TOKEN, everything that `dev` sends and prints has to carry it. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { welcome } from '../../../src/cli/welcome.js'
import { DemoLoad } from '../../../src/dev/demo-load.js'
import { DevServer } from '../../../src/dev/dev-server.js'
import { eventually } from '../../support/eventually.js'
import { freePorts } from '../../support/free-ports.js'
import { JsonClient } from '../../support/json-client.js'

const databaseUrl = 'postgresql://user:password@127.0.0.1:1/none'

/** Starts a server in place of a sidecar, which records what is sent to it as authorization. */
async function recorder(t: Test) {
  const authorizations: (string | undefined)[] = []
  const server = createServer(({ headers }, response) => {
    authorizations.push(headers.authorization)
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, authorizations }
}

t.test('the load sends it', async (t) => {
  const { base, authorizations } = await recorder(t)
  const load = new DemoLoad({ sidecars: [base], token: 'secret', databaseUrl })
  load.start()
  await eventually(() => authorizations.length >= 3)
  await load.close()
  t.strictSame([...new Set(authorizations)], ['Bearer secret'])
})

t.test('the page to try the sidecars sends it, and does not tell it, nor the database', async (t) => {
  const { base, authorizations } = await recorder(t)
  const port = await freePorts(1)
  const sidecars = [{ data: base, page: `${base}/ui/` }]
  const server = new DevServer({ port, databaseUrl, sidecars, token: 'secret', isSample: false })
  await server.listen()
  t.teardown(() => server.close())
  const client = new JsonClient(`http://127.0.0.1:${port}`)
  t.equal((await client.request('GET', '/sidecars/0/cache/get?key=k')).status, 200)
  t.equal(
    (await client.request('POST', '/sidecars/0/cache/set', { body: { key: 'k', value: 1 } })).status,
    200,
  )
  t.strictSame(authorizations, ['Bearer secret', 'Bearer secret'])
  t.strictSame((await client.request('GET', '/dev.json')).body, { sidecars, isSample: false })
})

t.test('the printed commands send it, by the name of its setting', async (t) => {
  const started = { port: 1, opsPorts: [4, 5], sqlPort: 3, databaseUrl, isSample: true, isDemo: false }
  const toSidecars = (text: string) => text.match(/curl (?!http:\/\/127\.0\.0\.1:3 ).*?(?= && |\n)/g) ?? []
  const sent = toSidecars(welcome({ ...started, tokenInShell: '$CACHE_API_TOKEN' }))
  t.equal(sent.length, 7)
  for (const command of sent) t.match(command, / -H "Authorization: Bearer \$CACHE_API_TOKEN"/)
  t.notMatch(welcome({ ...started, tokenInShell: undefined }), /Authorization/)
})
