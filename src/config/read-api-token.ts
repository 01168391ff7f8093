import { readRegularFile } from '../files/read-regular-file.js'
import type { Config } from './config.js'
import { ConfigError } from './config-error.js'
import { bearerToken } from './parse.js'

/**
 * Reads the token that requests must carry, from the setting or from the current content of its file; undefined if
 * neither is set. Rejects with ConfigError.
 */
export async function readApiToken({
  apiToken,
  apiTokenFile,
}: Pick<Config, 'apiToken' | 'apiTokenFile'>): Promise<string | undefined> {
  if (apiTokenFile === undefined) return apiToken
  if (apiToken !== undefined)
    throw new ConfigError('CACHE_API_TOKEN_FILE: cannot be set together with CACHE_API_TOKEN')
  try {
    return bearerToken(readRegularFile(apiTokenFile).trim())
  } catch (error) {
    throw new ConfigError(`CACHE_API_TOKEN_FILE: ${apiTokenFile}: ${(error as Error).message}`)
  }
}
