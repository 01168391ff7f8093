import type { z } from 'zod'
import { nearestName } from './nearest-name.js'
import { RequestError } from './problem.js'
import { checked } from './schemas/checked.js'

/** Returns the parameters of a query string that a schema has. Throws 422, as `parseQuery` does. */
export function checkedQuery<Schema extends z.ZodObject>(
  querystring: string,
  schema: Schema,
  advice?: Readonly<Record<string, string>>,
): z.output<Schema> {
  return checked(schema, parseQuery(querystring, Object.keys(schema.shape), advice))
}

/**
 * Returns the parameters of a query string that have these names. Other parameters are ignored, because proxies and
 * libraries add their own. Throws 422 for a parameter that nearly has one of the names, and for one that is given
 * twice. `advice` says what to do instead of giving it twice.
 */
export function parseQuery<Name extends string>(
  querystring: string,
  names: readonly Name[],
  advice?: { readonly [name in Name]?: string },
): Readonly<Partial<Record<Name, string>>> {
  const found: Partial<Record<Name, string>> = {}
  for (const part of querystring.split('&')) {
    const equals = part.indexOf('=')
    const given = decode(equals < 0 ? part : part.slice(0, equals))
    const name = names.find((one) => one === given)
    if (name === undefined) {
      // One mistake only: with two, `open` would be taken for `token`.
      const near = nearestName(given ?? '', names, 3)
      if (near === undefined) continue
      throw new RequestError(422, `${given}: unknown parameter; did you mean ${near}?`, 'unknown-name')
    }
    if (found[name] !== undefined) throw repeatedParameter(name, advice?.[name])
    const value = decode(equals < 0 ? '' : part.slice(equals + 1))
    if (value === undefined) throw new RequestError(422, `${name}: not valid percent-encoded UTF-8`)
    found[name] = value
  }
  return found
}

function repeatedParameter(name: string, advice: string | undefined): RequestError {
  return new RequestError(
    422,
    `${name}: given more than once${advice === undefined ? '' : `; ${advice}`}`,
    'repeated-name',
  )
}

/** Decodes a part of a form (`+` is a space). Returns undefined if the bytes are not valid UTF-8. */
export function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return undefined
  }
}
