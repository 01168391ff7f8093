import type { Context } from 'koa'
import { RequestError } from '../problem.js'
import { checked } from '../schemas/checked.js'
import { groups as groupsSchema } from '../schemas/fields.js'
import { distinctGroups } from '../write-options.js'

/** A string of a structured field (RFC 9651, section 3.3.3), and what separates it from the next one. */
const item = /"((?:[ !#-[\]-~]|\\["\\])*)"[ \t]*(,[ \t]*|$)/y

/** Returns the groups of an entry from the header Cache-Groups (RFC 9875); undefined for none. Throws 422. */
export function cacheGroups(ctx: Context): readonly string[] | undefined {
  const header = ctx.get('Cache-Groups').trim()
  const groups: string[] = []
  for (item.lastIndex = 0; item.lastIndex < header.length; ) {
    const [, text, separator] = item.exec(header) ?? []
    const isTrailing = separator !== '' && item.lastIndex === header.length
    if (text === undefined || isTrailing)
      throw new RequestError(
        422,
        'Cache-Groups: must be a list of strings in double quotes, such as "user:42", "page:home"',
      )
    groups.push(text.replaceAll(/\\(["\\])/g, '$1'))
  }
  return distinctGroups(checked(groupsSchema, groups, 'Cache-Groups'))
}
