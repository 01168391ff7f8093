import { RequestError } from './problem.js'

/** The parameters of a query string that have these names; any other is ignored. Throws 422 for one given twice. */
export function parseQuery<Name extends string>(
  querystring: string,
  names: readonly Name[],
): Readonly<Partial<Record<Name, string>>> {
  const found: Partial<Record<Name, string>> = {}
  for (const part of querystring.split('&')) {
    const equals = part.indexOf('=')
    const given = decode(equals < 0 ? part : part.slice(0, equals))
    const name = names.find((one) => one === given)
    if (name === undefined) continue
    if (found[name] !== undefined) throw new RequestError(422, `${name}: given more than once`)
    const value = decode(equals < 0 ? '' : part.slice(equals + 1))
    if (value === undefined) throw new RequestError(422, `${name}: not valid percent-encoded UTF-8`)
    found[name] = value
  }
  return found
}

/** As forms are encoded: `+` is a space. Undefined for what decodes to no text. */
export function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
