import { createServer } from 'node:net'
import type { Owner } from './database.js'

/** Listens on a port until the test ends, and returns the port. */
export function occupy(t: Owner, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      t.teardown(() => server.close())
      resolve((server.address() as { port: number }).port)
    })
  })
}

/** Returns the first of so many free ports in a row, below those that outgoing connections get. */
export async function freePorts(count: number): Promise<number> {
  for (let first = 21_000 + (process.pid % 8_000); ; first += count) {
    const opened: (() => unknown)[] = []
    const owner = { teardown: (close: () => unknown) => opened.push(close) } as unknown as Owner
    try {
      for (let port = first; port < first + count; port++) await occupy(owner, port)
      return first
    } catch {
      // One of them is taken.
    } finally {
      for (const close of opened) close()
    }
  }
}
