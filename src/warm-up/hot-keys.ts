import type { Log } from '../core/ports.js'
import { errorMessage } from '../errors/error-message.js'
import type { HotKeysFile } from './hot-keys-file.js'

/** Returns the keys of the list, or none if there is no list or it cannot be trusted. The log says so. */
export async function hotKeys(file: HotKeysFile, most: number, log: Log): Promise<readonly string[]> {
  const { path } = file
  try {
    const keys = await file.read(most)
    if (keys === undefined) log.info({ path }, 'there is no list of hot keys yet')
    return keys ?? []
  } catch (error) {
    const reason = errorMessage(error)
    log.warn({ path, reason }, 'ignoring the list of hot keys')
    return []
  }
}
