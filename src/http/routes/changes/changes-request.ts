import { z } from 'zod'
import { parseObject } from '../body-object.js'
import { prefix } from '../list-request.js'
import { checkedQuery } from '../query.js'
import { checked } from '../schemas/checked.js'

export const changesQuery = z.strictObject({ prefix: prefix.optional() })

/** Returns the beginning of the keys that a query string asks for. Throws 422. */
export function changesPrefix(querystring: string): string {
  return checkedQuery(querystring, changesQuery).prefix ?? ''
}

/** Largest body of a question. */
export const maxProveBytes = 4 * 1024

const nameFault = 'must be a string of 1 to 64 letters, digits, dots, hyphens and underscores'
const name = z.string(nameFault).regex(/^[\w.-]{1,64}$/, nameFault)

export const proveBody = z.strictObject({
  stream: name.meta({ description: 'Name of the stream, from its first event.' }),
  question: name.meta({ description: 'Any name, which the answer repeats.', examples: ['1'] }),
})

/** Returns the stream and the question in a body. Throws 422. */
export function proveRequest(bytes: Buffer): z.output<typeof proveBody> {
  const { body } = parseObject(bytes, Object.keys(proveBody.shape), 'this request')
  return checked(proveBody, body)
}
