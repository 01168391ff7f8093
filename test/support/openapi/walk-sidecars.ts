import { connect } from 'node:net'
import { cacheDatabase, freshDatabase, type Owner } from '../database.js'
import { eventually } from '../eventually.js'
import { guestOf } from '../guest.js'
import type { JsonClient } from '../json-client.js'
import { type StartedSidecar, startLiveSidecar, startSidecar } from '../sidecar.js'

export const maxValueBytes = 64 * 1024
const apiToken = 'let-me-in-please'

/** Sidecars in all the states in which responses differ. */
export interface WalkSidecars {
  /** One that has nothing to complain about, with a small limit for values. */
  readonly usual: StartedSidecar
  /** One that requires a token, which the client does not send. */
  readonly guarded: StartedSidecar
  /** One that requires conditions. */
  readonly strict: StartedSidecar
  /** One whose role has no rights to the table. */
  readonly powerless: StartedSidecar
  /** One whose database is unavailable. */
  readonly cut: StartedSidecar
  /** One in whose database the entry `large` does not fit into its memory. */
  readonly small: StartedSidecar
  /** One whose memory for headers is full. */
  readonly full: StartedSidecar
}

/** Starts them, with an entry `held`, and a bound table, in the database of `usual`. */
export async function startWalkSidecars(t: Owner): Promise<WalkSidecars> {
  const { url, query } = await cacheDatabase(t)
  const usual = await startLiveSidecar(t, { databaseUrl: url, maxValueBytes, onShutdown: () => undefined })
  await usual.client.set('held', { any: ['JSON'] })
  await query("create table bound (id int primary key); select cache_bind('bound', key => 'bound:{id}')")
  await eventually(async () => (await usual.client.set('bound:1', 1)).status === 409)
  const start = (more: Partial<Parameters<typeof startSidecar>[1]>) =>
    startSidecar(t, { databaseUrl: url, onShutdown: () => undefined, ...more })
  return {
    usual,
    guarded: await start({ apiToken }),
    strict: await start({ requiresConditions: true }),
    powerless: await startPowerless(t),
    cut: await startCut(t),
    small: await startSmall(t),
    full: await startFull(t, url),
  }
}

async function startPowerless(t: Owner): Promise<StartedSidecar> {
  const database = await freshDatabase(t)
  const guest = await guestOf(t, database)
  const started = await startLiveSidecar(t, { databaseUrl: guest.url })
  await database.query(`revoke all on cache_entries from ${guest.name}`)
  return started
}

async function startCut(t: Owner): Promise<StartedSidecar> {
  const database = await freshDatabase(t)
  const guest = await guestOf(t, database)
  const started = await startLiveSidecar(t, { databaseUrl: guest.url })
  await guest.shutOut()
  return started
}

async function startSmall(t: Owner): Promise<StartedSidecar> {
  const { url, query } = await cacheDatabase(t)
  const started = await startLiveSidecar(t, { databaseUrl: url, memoryBytes: 24 * 1024 * 1024 })
  await query("insert into cache_entries (key, value) values ('large', repeat('x', 20000000))")
  return started
}

/** Requests whose bodies never arrive keep their headers in memory: first large ones, then smaller ones for the rest. */
async function startFull(t: Owner, databaseUrl: string): Promise<StartedSidecar> {
  const started = await startLiveSidecar(t, { databaseUrl, onShutdown: () => undefined })
  const { client, sidecar } = started
  const send = (headerLength: number) => {
    const socket = connect(sidecar.port, '127.0.0.1', () => socket.write(unfinished(headerLength)))
    socket.on('error', () => undefined)
    // Its time is over after 30 seconds, and the tests may take longer. One that was refused is not sent again.
    socket.on('data', (response) => {
      if (/ 408 /.test(String(response))) send(headerLength)
    })
    t.teardown(() => socket.destroy())
  }
  const hold = (count: number, headerLength: number) => {
    for (let index = 0; index < count; index++) send(headerLength)
  }
  hold(500, 15_000)
  await eventually(async () => (await large(client, 'GET', '/health', 15_500)).status === 503)
  hold(10, 2_500)
  await eventually(async () => (await large(client)).status === 503)
  return started
}

/** Returns a request without its body. */
function unfinished(headerLength: number): string {
  const json = 'Content-Type: application/json\r\nContent-Length: 2'
  return `POST /cache/set HTTP/1.1\r\nHost: localhost\r\n${json}\r\nX-Large: ${'x'.repeat(headerLength)}\r\n\r\n`
}

/** Sends a request with headers that find no room in `full`. */
export function large(client: JsonClient, method = 'GET', path = '/health', headerLength = 9_000) {
  return client.request(method, path, { headers: { 'X-Large': 'x'.repeat(headerLength) } })
}
