import type { Member } from '../../json/json-source.js'
import { nearestName } from './nearest-name.js'
import { RequestError } from './problem.js'
import { shortName } from './short-name.js'

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Returns the text of a body, and the JSON object in it. Throws 422. */
export function parseObject(bytes: Buffer): { text: string; body: Readonly<Record<string, unknown>> } {
  let text: string
  let body: unknown
  try {
    text = utf8.decode(bytes)
    body = JSON.parse(text)
  } catch {
    throw new RequestError(422, 'body: not valid JSON in UTF-8')
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new RequestError(422, 'body: must be a JSON object')
  return { text, body: body as Record<string, unknown> }
}

/** Returns the error for the member of an object that was given more than once. */
export function repeatedMember(given: readonly Member[]): RequestError {
  const again = given.find(({ name }, index) => given.findIndex((other) => other.name === name) < index)
  return new RequestError(422, `${again?.name}: given more than once`)
}

/** Returns the error for a member that is none of `names`. `owner` is what has those, such as `a set`. */
export function unknownMember(name: string, names: readonly string[], owner: string): RequestError {
  const near = nearestName(name, names, 2)
  return new RequestError(
    422,
    `${shortName(name)}: unknown member; ${near ? `did you mean ${near}?` : `${owner} has ${names.join(' and ')}`}`,
  )
}
