import type { Context } from 'koa'
import { z } from 'zod'
import type { ReadOptions } from '../../core/reads/read-result.js'
import { parseToken, type SessionToken } from '../../core/state/session-token.js'
import { requireOnce } from './header-checks.js'
import { checkedQuery } from './query.js'
import { checked } from './schemas/checked.js'
import { consistency, key, token } from './schemas/fields.js'

export interface ReadConditions {
  readonly options: ReadOptions
  /** True if the store must not be asked. */
  readonly onlyIfCached: boolean
}

export interface ReadRequest extends ReadConditions {
  readonly key: string
}

/** Parameters of a read of one entry. */
export const conditionsQuery = z.strictObject({
  consistency: consistency.optional(),
  token: token.optional(),
})
export const readQuery = z.strictObject({ key, ...conditionsQuery.shape })

type Conditions = z.output<typeof conditionsQuery>

const severalKeys = { key: 'to read several keys, use POST /v1/entries:get' }

/** Returns the key and the options of a GET, from its query and its headers. Throws 400 or 422. */
export function readRequest(ctx: Context): ReadRequest {
  const { key, ...conditions } = checkedQuery(ctx.querystring, readQuery, severalKeys)
  return { key, ...readConditions(ctx, conditions) }
}

/** Returns the options of a read, from these members or parameters and from the headers. Throws 400 or 422. */
export function readConditions(ctx: Context, { consistency, token }: Conditions): ReadConditions {
  requireOnce(ctx, 'Cache-Token')
  const directives = ctx
    .get('Cache-Control')
    .toLowerCase()
    .split(',')
    .map((directive) => directive.trim())
  return {
    options: {
      strong: consistency === 'strong' || directives.includes('no-cache'),
      token: sessionToken(token ?? ctx.get('Cache-Token')),
    },
    onlyIfCached: directives.includes('only-if-cached'),
  }
}

function sessionToken(text: string): SessionToken | undefined {
  if (text === '') return undefined
  return parseToken(checked(token, text, 'token'))
}
