import type { Config } from '../config/config.js'
import { readApiToken } from '../config/read-api-token.js'
import type { Log } from '../core/ports.js'
import { BearerToken } from '../http/access/bearer-token.js'

/** Interval at which the token's file is read again. */
const rereadMs = 10_000

/** Creates the check of the API token; returns undefined if none is set, and every client may send requests. */
export function createBearerToken(config: Config, log: Log): BearerToken | undefined {
  if (config.apiToken === undefined && config.apiTokenFile === undefined) return undefined
  return new BearerToken({
    read: async () => (await readApiToken(config)) as string,
    rereadMs: config.apiTokenFile === undefined ? undefined : rereadMs,
    log,
  })
}
