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
