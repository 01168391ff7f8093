import type { Context } from 'koa'
import type { ReadOptions } from '../../core/reads/read-result.js'
import { parseToken, type SessionToken } from '../../core/state/session-token.js'
import { checkKey } from './key.js'
import { RequestError } from './problem.js'
import { parseQuery } from './query.js'

export interface ReadConditions {
  readonly options: ReadOptions
  /** True if the store must not be asked. */
  readonly onlyIfCached: boolean
}

export interface ReadRequest extends ReadConditions {
  readonly key: string
}

const severalKeys = { key: 'to read several keys, use POST /v1/entries:get' }

/** Returns the key and the options of a GET, from its query and its headers. Throws 422. */
export function readRequest(ctx: Context): ReadRequest {
  const { key, consistency, token } = parseQuery(
    ctx.querystring,
    ['key', 'consistency', 'token'],
    severalKeys,
  )
  return { key: checkKey(key), ...readConditions(ctx, consistency, token) }
}

/** Returns the options of a read, from these members or parameters and from the headers. Throws 422. */
export function readConditions(ctx: Context, consistency: unknown, token?: string): ReadConditions {
  if (consistency !== undefined && consistency !== 'strong' && consistency !== 'bounded') {
    throw new RequestError(422, 'consistency: must be strong or bounded')
  }
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
  const token = parseToken(text)
  if (token === undefined) throw new RequestError(422, 'token: not one that this service gave out')
  return token
}
