import type { ListedEntry, ListResponse } from '../../src/http-api.js'
import type { JsonClient } from './json-client.js'

/** Returns all entries of a list, by following the links from the first page on. */
export async function listed(
  client: JsonClient,
  query: string,
  betweenPages: () => Promise<unknown> = async () => undefined,
): Promise<ListedEntry[]> {
  const entries: ListedEntry[] = []
  let path: string | undefined = `/v1/entries${query}`
  while (path !== undefined) {
    const before: string = path
    const { status, headers, text } = await client.request('GET', path)
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text}`)
    const page = JSON.parse(text) as ListResponse
    entries.push(...page.entries)
    const link = String(headers.link ?? '')
    path = /^<([^>]*)>; rel="next"$/.exec(link)?.[1]
    const after = path && new URL(path, client.base).searchParams.get('after')
    if ((after ?? undefined) !== page.next) throw new Error(`${link} and next ${page.next} differ`)
    // Otherwise a list that does not advance would never end.
    if (path === before) throw new Error(`${path} leads to itself`)
    if (path !== undefined) await betweenPages()
  }
  return entries
}

/** Returns the keys in the order of their bytes. */
export function inByteOrder(keys: Iterable<string>): string[] {
  return [...keys].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
}
