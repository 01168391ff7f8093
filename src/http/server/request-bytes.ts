import type { IncomingMessage } from 'node:http'

/** Memory of a request and its response without the texts of URL and headers, in bytes. Measured. */
const bookkeepingBytes = 2_048

/** Returns the memory of a request and its response, in bytes, without bodies. */
export function requestBytes({ url = '', rawHeaders }: IncomingMessage): number {
  let bytes = bookkeepingBytes + url.length
  for (const text of rawHeaders) bytes += text.length
  return bytes
}
