/** Tests of errors that prove that a write was not committed, and of others with the same SQLSTATE that do not. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { CacheError } from '../../../src/core/errors.js'
import { Database } from '../../../src/postgres/pool/database.js'
import { BackendMessages, typeOf } from '../../support/backend-messages.js'
import { freshDatabase } from '../../support/database.js'

const fresh = await freshDatabase(t)
await fresh.query('create table numbers (n int)')

/** A database behind a proxy whose `forward` may change the errors of the server. */
async function databaseBehind(t: Test, forward: (error: Buffer, client: Socket) => void): Promise<Database> {
  const target = new URL(fresh.url)
  const proxy = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname)
    const messages = new BackendMessages()
    client.on('data', (chunk) => upstream.write(chunk))
    upstream.on('data', (chunk: Buffer) => {
      for (const message of messages.take(chunk)) {
        if (client.destroyed) return
        if (typeOf(message) === 'E') forward(message, client)
        else client.write(message)
      }
    })
    client.on('error', () => {}).on('close', () => upstream.destroy())
    upstream.on('error', () => {}).on('close', () => client.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const { port } = proxy.address() as AddressInfo
  const url = Object.assign(new URL(fresh.url), { host: `127.0.0.1:${port}` }).href
  const database = new Database({ url, poolSize: 1, timeoutMs: 2_000, log: { info() {}, warn() {} } })
  t.teardown(() => database.close())
  return database
}

/**
 * Sends the message of a server that ends itself, for example because it could not write its log, and closes the
 * session.
 */
const panic = (error: Buffer, client: Socket) => client.end(error)

const passOn = (error: Buffer, client: Socket) => client.write(error)

/** An error as poolers make them: without the place in PostgreSQL's source. */
function ofPooler(error: Buffer, client: Socket): void {
  const fields = error.subarray(5).toString('latin1').split('\0')
  const body = `${fields.filter((field) => !/^[FLR]/.test(field)).join('\0')}`
  const header = Buffer.from('E\0\0\0\0')
  header.writeUInt32BE(4 + body.length, 1)
  client.write(Buffer.concat([header, Buffer.from(body, 'latin1')]))
}

async function codeOf(database: Database, state: string): Promise<unknown> {
  const raise = `do $$ begin insert into numbers values (1); raise exception using errcode = '${state}'; end $$`
  const error = await database.write(raise, []).catch((reason: unknown) => reason)
  return error instanceof CacheError ? error.code : error
}

for (const [what, forward, expected] of [
  [
    'an error of the statement',
    passOn,
    { XX000: 'store-failed', 58030: 'store-failed', 53100: 'store-suspended' },
  ],
  [
    'an error that ends the server',
    panic,
    { XX000: 'outcome-unknown', 58030: 'outcome-unknown', 53100: 'outcome-unknown' },
  ],
  [
    "a pooler's error",
    ofPooler,
    { XX000: 'outcome-unknown', 58000: 'outcome-unknown', '08006': 'outcome-unknown' },
  ],
] as const) {
  t.test(what, async (t) => {
    const database = await databaseBehind(t, forward)
    for (const [state, code] of Object.entries(expected)) t.equal(await codeOf(database, state), code, state)
    t.same(
      await database.write('insert into numbers values (2) returning n', []),
      [{ n: 2 }],
      'and it goes on',
    )
  })
}
t.test('an error that rules out a write is reported as not written', async (t) => {
  t.same((await fresh.query('select from numbers where n = 1')).rows, [])
})
