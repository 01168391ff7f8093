import { randomUUID } from 'node:crypto'
import type { FreshDatabase } from './database.js'
import { eventually } from './eventually.js'
import type { Answer, JsonClient } from './json-client.js'

/** Statement that makes sidecars inspect the bindings now, as they do every minute. */
export const inspectNow = `select pg_notify(cache_channel('public', 'cache_entries'), '["' || chr(92) || 'u0000bindings","1"]')`

/** Returns true if a read was answered from memory as fresh. */
export function isHit({ headers }: Pick<Answer, 'headers'>): boolean {
  return String(headers['cache-status']).startsWith('caching-layer; hit')
}

/** Reads until the answer is served from memory as fresh. Resolves to its value; undefined if there is no entry. */
export async function hold(client: JsonClient, key: string): Promise<unknown> {
  let held: unknown
  await eventually(async () => {
    const answer = await client.get(key)
    held = answer.body.value
    return isHit(answer)
  })
  return held
}

/** Waits until everything that has been changed was announced, and the sidecar has applied it. */
export async function untilApplied({ query }: FreshDatabase, client: JsonClient): Promise<void> {
  await eventually(async () => (await query('select from cache_outbox')).rowCount === 0)
  const value = randomUUID()
  await hold(client, 'mark')
  await query(
    `insert into cache_entries (key, value) values ('mark', $1)
     on conflict (key) do update set value = excluded.value`,
    [value],
  )
  // The mark was held, so that only its announcement, which comes last, can change the answer.
  await eventually(async () => (await client.value('mark')) === value)
  // More changes than were named are applied by a comparison.
  await eventually(async () => (await client.stats()).feed.state === 'live')
}
