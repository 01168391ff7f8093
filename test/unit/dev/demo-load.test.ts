import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { DemoLoad } from '../../../src/dev/demo-load.js'
import { recordedPauses } from '../../support/recorded-pauses.js'
import { scriptedPostgres } from '../../support/scripted-postgres.js'
import { turn } from '../../support/turn.js'

/** Starts a server in place of a sidecar, which records what it is asked. */
async function sidecar(t: Test, name: string, asked: string[]): Promise<string> {
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    const key = body === '' ? '' : ` ${JSON.parse(body).key} ${request.headers['content-type']}`
    asked.push(`${name}: ${request.method} ${request.url}${key}`)
    response.end('{}')
  }).listen(0, '127.0.0.1')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const never = new Promise<never>(() => undefined)

t.test('the load reads, sets and deletes keys of both sidecars, and reads bound keys', async (t) => {
  const asked: string[] = []
  const sidecars = [await sidecar(t, 'a', asked), await sidecar(t, 'b', asked)]
  /** Random numbers for each request: they choose the sidecar, the key, the operation, and more. */
  const draws = [
    [0, 0.5, 0.0799, 0.5],
    [0.5, 0.1, 0.08],
    [0, 0.999, 0.0899],
    [0.499, 0.999, 0.09, 0.25],
    [0, 0, 0.09, 0.249, 0.999, 0.499],
    [0.999, 0, 0.999, 0, 0, 0.5],
  ]
  const expected = [
    'a: POST /cache/set demo:75 application/json',
    'b: DELETE /cache/delete?key=demo:3',
    'a: DELETE /cache/delete?key=demo:299',
    'a: GET /cache/get?key=demo:299',
    'a: GET /cache/get?key=product:3',
    'b: GET /cache/get?key=product_page:1',
  ]
  let drawn = draws.shift()
  t.intercept(Math, 'random', { value: () => drawn?.shift() })
  const pauses = recordedPauses(t, (ms) => {
    if (ms === 1_500) return never
    // A number that is left over would be that of another request.
    t.strictSame(drawn, [])
    drawn = draws.shift()
    return drawn === undefined ? never : undefined
  })
  const load = new DemoLoad({
    sidecars,
    token: undefined,
    databaseUrl: 'postgresql://nobody@127.0.0.1:1/none',
  })
  load.start()
  while (drawn !== undefined) await turn()
  await load.close()
  t.strictSame(asked, expected)
  t.equal(pauses.filter((ms) => ms === 20).length, expected.length, 'fifty in a second')
})

t.test('rows of both bound tables and entries are changed by SQL, in turn', async (t) => {
  const server = await scriptedPostgres(t, { answer: () => [] })
  let count = 0
  recordedPauses(t, (ms) => (ms === 1_500 && ++count < 4 ? undefined : never))
  const load = new DemoLoad({ sidecars: ['http://127.0.0.1:1'], token: undefined, databaseUrl: server.url })
  load.start()
  while (count < 4) await turn()
  await load.close()
  t.strictSame(
    server.statements.map((statement) => statement.split(' ', 2).join(' ')),
    ['update products', 'update reviews', 'update cache_entries', 'update products'],
  )
})
