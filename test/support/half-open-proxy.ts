import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Owner } from './database.js'
import { reset } from './reset.js'

export interface Proxy {
  /** URL of the database, through the proxy. */
  readonly url: string
  /** Number of open connections through the proxy. */
  readonly connections: number
  /** Ends the connections there are, without a word from the server: properly (FIN), or by a reset. */
  cut(how?: 'end' | 'reset'): void
  /** Stops all bytes in both directions, and hides the end of connections: the links are half open. */
  freeze(): void
  /** New connections come through again; those that were frozen stay so. */
  thaw(): void
  /** New connections lead to that server, from now on. */
  leadTo(databaseUrl: string): void
  /** While true, new connections are closed at once. */
  refusing: boolean
}

/** Starts a proxy to a database whose connections can be cut silently. It is closed at the end of the test. */
export async function proxyTo(t: Owner, databaseUrl: string): Promise<Proxy> {
  let target = new URL(databaseUrl)
  const links = new Set<readonly [Socket, Socket]>()
  let isFrozen = false
  const server = createServer((client) => {
    client.on('error', () => {})
    if (proxy.refusing) {
      client.destroy()
      return
    }
    if (isFrozen) {
      links.add([client, client])
      return
    }
    const upstream = connect(Number(target.port || 5432), target.hostname)
    upstream.on('error', () => client.destroy())
    const link = [client, upstream] as const
    links.add(link)
    client.pipe(upstream).pipe(client)
    const forget = () => {
      for (const socket of link) socket.destroy()
      links.delete(link)
    }
    client.on('close', forget)
    upstream.on('close', forget)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const cut = (how: 'end' | 'reset' = 'end') => {
    for (const [client, upstream] of links) {
      upstream.unpipe(client)
      if (how === 'end') client.end()
      else reset(client)
      upstream.destroy()
    }
    links.clear()
  }
  const proxy = {
    url: Object.assign(new URL(databaseUrl), { host: `127.0.0.1:${(server.address() as AddressInfo).port}` })
      .href,
    refusing: false,
    get connections() {
      return links.size
    },
    cut,
    leadTo(otherUrl: string) {
      target = new URL(otherUrl)
    },
    freeze() {
      isFrozen = true
      for (const [client, upstream] of links) {
        client.unpipe(upstream)
        upstream.unpipe(client)
        client.pause()
        upstream.pause()
      }
    },
    thaw() {
      isFrozen = false
    },
  }
  t.teardown(() => {
    cut('reset')
    server.close()
  })
  return proxy
}
