import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import t from 'tap'
import { eventually } from '../support/eventually.js'
import { reset } from '../support/reset.js'

t.test('a reset leaves no socket open', { skip: process.platform !== 'linux' }, async (t) => {
  for (const isShutDown of [false, true])
    await t.test(isShutDown ? 'while the connection is being shut down' : 'otherwise', async (t) => {
      const server = createServer({ allowHalfOpen: true }, (socket) =>
        socket.on('error', () => undefined).resume(),
      )
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.teardown(() => server.close())
      const accepted = once(server, 'connection')
      const client = connect({ port: (server.address() as AddressInfo).port, allowHalfOpen: true })
      client.on('error', () => undefined)
      const [peer] = (await accepted) as [Socket]
      const before = openSockets()
      if (isShutDown) client.end()
      reset(client)
      peer.destroy()
      await eventually(() => openSockets() === before - 2)
      t.equal(client.destroyed, true)
    })
})

function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:')
    } catch {
      // It was that of the folder.
      return false
    }
  }).length
}
