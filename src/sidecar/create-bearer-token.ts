import type { Config } from '../config/config.js'
import { readApiToken } from '../config/read-api-token.js'
import type { Log } from '../core/ports.js'
import { BearerToken } from '../http/access/bearer-token.js'

/** How soon a token that was replaced in its file holds. */
const rereadMs = 10_000

/** What requests have to carry; undefined where anybody may ask. */
export function createBearerToken(config: Config, log: Log): BearerToken | undefined {
  if (config.apiToken === undefined && config.apiTokenFile === undefined) return undefined
  return new BearerToken({
    read: async () => (await readApiToken(config)) as string,
    rereadMs: config.apiTokenFile === undefined ? undefined : rereadMs,
    log,
  })
}
