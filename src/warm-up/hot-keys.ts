import { reasonIn } from '../core/errors.js'
import type { Log } from '../core/ports.js'
import type { HotKeysFile } from './hot-keys-file.js'

/** Those of the list, if there is one that can be trusted; says so in the log if not. */
export async function hotKeys(file: HotKeysFile, most: number, log: Log): Promise<readonly string[]> {
  const { path } = file
  try {
    const keys = await file.read(most)
    if (keys === undefined) log.info({ path }, 'there is no list of hot keys yet')
    return keys ?? []
  } catch (error) {
    const reason = reasonIn(error)
    log.warn({ path, reason }, 'the list of hot keys is ignored')
    return []
  }
}
