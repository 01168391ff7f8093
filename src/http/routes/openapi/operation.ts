import type { z } from 'zod'
import type { ProblemKind } from '../problems/problem-kinds.js'
import type { HeaderName, RequestHeaderName } from './headers.js'

/** Description of an endpoint, from which its part of the OpenAPI document is made. */
export interface Operation {
  /** Name of the function in generated clients. */
  readonly id: string
  readonly summary: string
  readonly description?: string
  /** Parameters in the path: the names in braces. */
  readonly path?: z.ZodObject
  /** Parameters in the query: the schema that validates them. */
  readonly query?: z.ZodObject
  /** Headers that change what a request means. */
  readonly headers?: readonly RequestHeaderName[]
  readonly body?: Content
  /** Responses that are not problems, by status. */
  readonly answers: Readonly<Record<number, Answer>>
  /** Kinds of problems besides those that any request can have (`commonKinds`). */
  readonly problems: readonly ProblemKind[]
  /** Headers of problems besides those of every operation, by status. */
  readonly problemHeaders?: Readonly<Record<number, readonly HeaderName[]>>
  /** Headers that problems may have, by status. */
  readonly optionalProblemHeaders?: Readonly<Record<number, readonly HeaderName[]>>
  /** True if the request needs no token. */
  readonly isOpen?: boolean
  /** Operation of HEAD, if it is described as well: the same without the content of responses. */
  readonly head?: Pick<Operation, 'id' | 'summary'>
}

export interface Answer {
  readonly description: string
  readonly content?: Content
  /** Headers that the response always has. */
  readonly headers?: readonly HeaderName[]
  /** Headers that the response may have. */
  readonly optionalHeaders?: readonly HeaderName[]
}

/** JSON of this schema, any bytes of any type, or server-sent events. */
export type Content = z.ZodType | 'any bytes' | 'events'
