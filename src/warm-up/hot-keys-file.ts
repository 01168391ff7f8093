import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { renameDurably } from '../files/rename-durably.js'
import { fileLines } from './file-lines.js'

const format = 'caching-layer hot keys'
const formatVersion = 1
const header = JSON.stringify({ format, format_version: formatVersion })
const keysPerWrite = 10_000

/**
 * File with the list of hot keys, the hottest first:
 *
 *   {"format":"caching-layer hot keys","format_version":1}
 *   "user:1"
 *   ...
 *   {"keys":1000,"sha256":"..."}
 *
 * The last line has the number of keys, and the hash of all bytes before it. Keys may be private, so only this user may
 * read the file.
 */
export class HotKeysFile {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  /** Throws if the list could not be written. */
  async prepare(): Promise<void> {
    const handle = await this.#openUnfinished()
    await handle.close()
    await rm(this.#unfinished)
  }

  /**
   * Returns at most `most` keys; undefined if there is no file. Throws an Error that says why the file cannot be
   * trusted.
   */
  async read(most: number): Promise<readonly string[] | undefined> {
    const lines: string[] = []
    try {
      for await (const more of fileLines(this.path)) for (const line of more) lines.push(line)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
    const [first = '', ...rest] = lines
    if (first !== header) throw new Error(faultOf(first))
    const trailer = rest.pop()
    const hash = createHash('sha256')
    for (const line of [first, ...rest]) hash.update(`${line}\n`)
    if (trailer !== trailerOf(rest.length, hash.digest('hex')))
      throw new Error('it is incomplete or was changed')
    return rest.slice(0, most).map((line) => JSON.parse(line) as string)
  }

  /**
   * Replaces the list atomically: readers see either the whole new list or the previous one, even after a power loss.
   */
  async write(keys: readonly string[]): Promise<void> {
    const handle = await this.#openUnfinished()
    try {
      const hash = createHash('sha256')
      const append = (text: string) => {
        hash.update(text)
        return handle.writeFile(text)
      }
      await append(`${header}\n`)
      for (let start = 0; start < keys.length; start += keysPerWrite) {
        const lines = keys.slice(start, start + keysPerWrite).map((key) => `${JSON.stringify(key)}\n`)
        await append(lines.join(''))
      }
      await handle.writeFile(`${trailerOf(keys.length, hash.digest('hex'))}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await renameDurably(this.#unfinished, this.path)
  }

  get #unfinished(): string {
    return `${this.path}.unfinished`
  }

  /**
   * Opens a new unfinished file. A file that a killed process has left is removed first, because it is in the way and
   * may have another mode.
   */
  async #openUnfinished(): Promise<FileHandle> {
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 })
    await rm(this.#unfinished, { force: true })
    return open(this.#unfinished, 'wx', 0o600)
  }
}

function trailerOf(keys: number, sha256: string): string {
  return JSON.stringify({ keys, sha256 })
}

function faultOf(first: string): string {
  try {
    const found = JSON.parse(first) as { format?: unknown; format_version?: unknown } | null
    if (found?.format === format)
      return `it has format version ${found.format_version}, and this release reads ${formatVersion}`
  } catch {}
  return 'it is not a list of hot keys'
}
