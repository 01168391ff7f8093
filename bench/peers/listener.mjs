import pg from 'pg'
import { monotonicMs } from '../inside/monotonic.mjs'

/** A bare client that LISTENs: says of every notification when it was heard. */
const { DATABASE_URL, CHANNEL } = process.env
const client = new pg.Client({ connectionString: DATABASE_URL, keepAlive: true })
client.on('notification', ({ payload }) => {
  const heardMs = monotonicMs()
  // The sidecars' own questions travel on the channel as well.
  if (!payload.startsWith('[')) return
  const [key] = JSON.parse(payload)
  process.send([key, heardMs])
})
await client.connect()
await client.query(`listen ${pg.escapeIdentifier(CHANNEL)}`)
process.send('listening')
process.on('disconnect', () => process.exit())
