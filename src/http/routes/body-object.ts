import { type Member, members } from '../../json/json-source.js'
import { nearestName } from './nearest-name.js'
import { RequestError } from './problem.js'
import { shortName } from './short-name.js'

const utf8 = new TextDecoder('utf-8', { fatal: true })

export interface BodyObject {
  readonly text: string
  readonly body: Readonly<Record<string, unknown>>
  /** Where the members are in the text. */
  readonly given: readonly Member[]
}

/**
 * Returns the text of a body, and the JSON object in it, which may have these members, each once. Throws 422. `owner`
 * is what has those members, such as `a set`.
 */
export function parseObject(bytes: Buffer, memberNames: readonly string[], owner: string): BodyObject {
  const { text, body } = parsed(bytes)
  return checkMembers({ text, body }, memberNames, owner)
}

/** Checks the members of an object that is part of a body. `path` comes before their names in messages. Throws 422. */
export function checkMembers(
  { text, body }: Pick<BodyObject, 'text' | 'body'>,
  memberNames: readonly string[],
  owner: string,
  path = '',
): BodyObject {
  const names = Object.keys(body)
  for (const name of names)
    if (!memberNames.includes(name)) throw unknownMember(path, name, memberNames, owner)
  const given = members(text)
  if (given.length > names.length) throw repeatedMember(path, given)
  return { text, body, given }
}

function parsed(bytes: Buffer): Pick<BodyObject, 'text' | 'body'> {
  let text: string
  let body: unknown
  try {
    text = utf8.decode(bytes)
    body = JSON.parse(text)
  } catch {
    throw new RequestError(422, 'body: not valid JSON in UTF-8', 'invalid-json')
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new RequestError(422, 'body: must be a JSON object')
  return { text, body: body as Record<string, unknown> }
}

function repeatedMember(path: string, given: readonly Member[]): RequestError {
  const again = given.find(({ name }, index) => given.findIndex((other) => other.name === name) < index)
  return new RequestError(422, `${path}${again?.name}: given more than once`, 'repeated-name')
}

function unknownMember(path: string, name: string, names: readonly string[], owner: string): RequestError {
  const near = nearestName(name, names, 2)
  return new RequestError(
    422,
    `${path}${shortName(name)}: unknown member; ${near ? `did you mean ${near}?` : `${owner} has ${listOf(names)}`}`,
    'unknown-name',
  )
}

function listOf(names: readonly string[]): string {
  return [names.slice(0, -1).join(', '), ...names.slice(-1)].filter((part) => part !== '').join(' and ')
}
