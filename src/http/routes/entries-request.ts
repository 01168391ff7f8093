import { z } from 'zod'
import { parseObject } from './body-object.js'
import { checked } from './schemas/checked.js'
import { consistency, keys } from './schemas/fields.js'

export const entriesBody = z.strictObject({ keys, consistency: consistency.optional() })

export interface EntriesRequest {
  /** The keys in the order of the request, each once. */
  readonly keys: readonly string[]
  readonly consistency: z.output<typeof consistency> | undefined
}

/** Returns the keys and the consistency in the body of a request for several entries. Throws 422. */
export function entriesRequest(bytes: Buffer): EntriesRequest {
  const { body } = parseObject(bytes, Object.keys(entriesBody.shape), 'this request')
  const { keys, consistency } = checked(entriesBody, body)
  return { keys: [...new Set(keys)], consistency }
}
