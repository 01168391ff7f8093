import { readRegularFile } from '../files/read-regular-file.js'
import { parseConnectionUrl } from './connection-url.js'
import { separateUrls } from './separate-urls.js'

/**
 * A source is a connection URL, or `file:///run/secrets/url?index=0`. The latter stands for a URL in that file, chosen
 * by its index, with the content that the file has when a connection is made. `password_file`, in either form, names a
 * file with the password.
 */

export function fileSource(path: string, index: number): string {
  return `file://${encodeURI(path).replace(/[?#]/g, encodeURIComponent)}?index=${index}`
}

/** Returns the source with a file for its password; unchanged if its URL has a password. */
export function withPasswordFile(source: string, path: string): string {
  if (parseConnectionUrl(currentUrl(source)).password !== '') return source
  return `${source}${source.includes('?') ? '&' : '?'}password_file=${encodeURIComponent(path)}`
}

/**
 * Returns the connection URL, from its file if there is one. Throws an Error that does not repeat the content of the
 * file.
 */
export function currentUrl(source: string): string {
  if (!source.startsWith('file:')) return source
  const { pathname, searchParams } = new URL(source)
  const url = separateUrls(readTrimmed(decodeURIComponent(pathname)))[Number(searchParams.get('index'))]
  if (url === undefined) throw new Error(`${decodeURIComponent(pathname)}: contains fewer URLs than before`)
  const passwordFile = searchParams.get('password_file')
  return passwordFile === null ? url : withPasswordFile(url, passwordFile)
}

/** Returns the text of a file, trimmed. Throws an Error that names the file. */
export function readTrimmed(path: string): string {
  let text: string
  try {
    text = readRegularFile(path).trim()
  } catch (error) {
    throw new Error(`${path}: cannot be read: ${(error as Error).message}`, { cause: error })
  }
  if (text === '') throw new Error(`${path}: is empty`)
  return text
}
