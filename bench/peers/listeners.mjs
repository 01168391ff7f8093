import pg from 'pg'
import { HeardChanges } from '../inside/heard-changes.mjs'
import { monotonicMs } from '../inside/monotonic.mjs'

/** COUNT bare clients that LISTEN. Notes when each has heard of which key. */
const { COUNT, DATABASE_URL, CHANNEL } = process.env
const heard = new HeardChanges()
for (let index = 0; index < Number(COUNT); index++) {
  const client = new pg.Client({ connectionString: DATABASE_URL, keepAlive: true })
  client.on('notification', ({ payload }) => {
    const heardMs = monotonicMs()
    // The sidecars' own questions travel on the channel as well.
    if (!payload.startsWith('[')) return
    const changes = JSON.parse(payload)
    for (let at = 0; at < changes.length; at += 2) heard.note(client, changes[at], heardMs)
  })
  await client.connect()
  await client.query(`listen ${pg.escapeIdentifier(CHANNEL)}`)
}
heard.answerParent()
