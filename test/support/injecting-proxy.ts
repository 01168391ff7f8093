import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Owner } from './database.js'
import { eventually } from './eventually.js'

export interface InjectingProxy {
  /** URL of the database, through the proxy. */
  readonly url: string
  /**
   * Runs a statement on the latest session that came through, between two of the client's own, which never learns of
   * it: the answer is swallowed. Resolves when the server has answered.
   */
  inject(sql: string): Promise<void>
}

interface Session {
  /** Has the server answered all that the client has asked? */
  isIdle: boolean
  inject(sql: string): Promise<void>
}

const readyForQuery = Buffer.from('Z\0\0\0\x05I', 'latin1')

/** Starts a proxy to a database that can inject messages. It is closed at the end of the test. */
export async function injectingProxyTo(t: Owner, databaseUrl: string): Promise<InjectingProxy> {
  const target = new URL(databaseUrl)
  let latest: Session | undefined
  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname)
    let swallowing: { received: Buffer; done: () => void } | undefined
    const session: Session = {
      isIdle: false,
      inject: (sql) =>
        new Promise((done) => {
          swallowing = { received: Buffer.alloc(0), done }
          upstream.write(query(sql))
        }),
    }
    latest = session
    client.on('data', (chunk) => {
      session.isIdle = false
      upstream.write(chunk)
    })
    upstream.on('data', (chunk: Buffer) => {
      if (!swallowing) {
        if (chunk.subarray(-readyForQuery.length).equals(readyForQuery)) session.isIdle = true
        client.write(chunk)
        return
      }
      swallowing.received = Buffer.concat([swallowing.received, chunk])
      const end = swallowing.received.indexOf(readyForQuery)
      if (end === -1) return
      const rest = swallowing.received.subarray(end + readyForQuery.length)
      swallowing.done()
      swallowing = undefined
      if (rest.length > 0) client.write(rest)
    })
    client.on('error', () => {}).on('close', () => upstream.destroy())
    upstream.on('error', () => {}).on('close', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return {
    url: Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${port}` }).href,
    async inject(sql) {
      const idle = await eventually(() => (latest?.isIdle ? latest : undefined), { everyMs: 1 })
      await idle?.inject(sql)
    },
  }
}

/** Returns the protocol message of a simple query. */
function query(sql: string): Buffer {
  const text = Buffer.from(`${sql}\0`)
  const header = Buffer.from('Q\0\0\0\0', 'latin1')
  header.writeInt32BE(text.length + 4, 1)
  return Buffer.concat([header, text])
}
