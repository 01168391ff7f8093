import { z } from 'zod'
import type { Endpoint } from '../endpoint.js'
import { type ProblemKind, problemType, statusOfKind } from '../problems/problem-kinds.js'
import { commonKinds } from './common-problems.js'
import { component, componentSchemas, type JsonSchema, schemaOf } from './components.js'
import { type HeaderName, requestHeaders, responseHeaders } from './headers.js'
import type { Answer, Content, Operation } from './operation.js'

/** Body of every problem (RFC 9457). */
export const problemBody = component(
  'Problem',
  z.strictObject({
    type: z.url().meta({ description: 'URL of the paragraph that explains this kind of problem.' }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
  }),
)

/** Returns the OpenAPI document of these endpoints, for this version of the program. */
export function openApiDocument(endpoints: readonly Endpoint[], version: string): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {}
  for (const { method, path, operation } of endpoints) {
    paths[path] = { ...paths[path], [method]: operationObject(operation, false) }
    const { head } = operation
    if (head) paths[path].head = operationObject({ ...operation, ...head }, true)
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'caching-layer',
      version,
      description:
        'A cache beside an application. The sidecar answers any other path with 404, HEAD wherever there is a GET, OPTIONS with 200 and the methods of the path in `Allow`, and any other method with 405 or 501.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    externalDocs: {
      url: 'https://github.com/caching-layer/caching-layer/blob/main/docs/reference/http-api.md',
    },
    servers: [{ url: 'http://127.0.0.1:8025', description: 'The sidecar of this pod, by default.' }],
    // The token is required only if the sidecar has one.
    security: [{}, { token: [] }],
    paths,
    components: {
      schemas: componentSchemas(),
      responses: commonResponses(),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: '`CACHE_API_TOKEN`, if it is set.' },
      },
    },
  }
}

function operationObject(operation: Operation, isHead: boolean): JsonSchema {
  const { id, summary, description, body, answers, isOpen = false } = operation
  return {
    operationId: id,
    summary,
    ...(description && { description }),
    ...(isOpen && { security: [] }),
    parameters: parametersOf(operation),
    ...(body && { requestBody: { required: true, content: contentOf(body) } }),
    responses: Object.fromEntries(
      [
        ...Object.entries(answers).map(([status, answer]) => [status, answerObject(answer, isHead)] as const),
        ...problemObjects(operation, isHead),
      ].sort(([a], [b]) => Number(a) - Number(b)),
    ),
  }
}

function parametersOf({ path, query, headers = [] }: Operation): readonly JsonSchema[] {
  return [
    ...schemaParameters('path', path),
    ...schemaParameters('query', query),
    ...headers.map((name) => ({ name, in: 'header', ...requestHeaders[name] })),
  ]
}

function schemaParameters(place: 'path' | 'query', schema?: z.ZodObject): readonly JsonSchema[] {
  if (schema === undefined) return []
  const { properties = {}, required = [] } = z.toJSONSchema(schema)
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    ...(required.includes(name) && { required: true }),
    schema: property,
  }))
}

function contentOf(content: Content): JsonSchema {
  if (content === 'events') return { 'text/event-stream': { schema: { type: 'string' } } }
  // RFC 9110 gives bytes no schema, and neither does OpenAPI.
  return content === 'any bytes' ? { '*/*': {} } : { 'application/json': { schema: schemaOf(content) } }
}

function answerObject(answer: Answer, isHead: boolean): JsonSchema {
  const { description, content, headers = [], optionalHeaders = [] } = answer
  return {
    description,
    ...headersOf(headers, optionalHeaders),
    ...(content && !isHead && { content: contentOf(content) }),
  }
}

function headersOf(always: readonly HeaderName[], sometimes: readonly HeaderName[] = []): JsonSchema {
  const entries = [
    ...always.map((name) => [name, { required: true, ...responseHeaders[name] }]),
    ...sometimes.map((name) => [name, responseHeaders[name]]),
  ]
  return entries.length === 0 ? {} : { headers: Object.fromEntries(entries) }
}

/** Headers of problems of every operation. */
const headersOfStatus: Readonly<Record<number, readonly HeaderName[]>> = {
  401: ['WWW-Authenticate'],
  503: ['Retry-After'],
}

/** Returns the problems of an operation by status: each with its kinds. */
function problemObjects(operation: Operation, isHead: boolean): readonly (readonly [string, JsonSchema])[] {
  const { problems, problemHeaders = {}, optionalProblemHeaders = {}, isOpen = false } = operation
  const kinds = [...commonKinds, ...(isOpen ? [] : (['no-token'] as const)), ...problems]
  return [...byStatus(kinds)].map(([status, ofStatus]) => {
    const isCommon = !isHead && ofStatus.every((kind) => kind === 'no-token' || commonKinds.includes(kind))
    const response = isCommon
      ? { $ref: `#/components/responses/Problem${status}` }
      : problemObject(status, ofStatus, {
          always: problemHeaders[status],
          sometimes: optionalProblemHeaders[status],
          isHead,
        })
    return [String(status), response]
  })
}

function commonResponses(): JsonSchema {
  return Object.fromEntries(
    [...byStatus([...commonKinds, 'no-token'])].map(([status, kinds]) => [
      `Problem${status}`,
      problemObject(status, kinds),
    ]),
  )
}

function byStatus(kinds: readonly ProblemKind[]): ReadonlyMap<number, readonly ProblemKind[]> {
  const found = new Map<number, ProblemKind[]>()
  for (const kind of new Set(kinds)) {
    const status = statusOfKind[kind]
    found.set(status, [...(found.get(status) ?? []), kind])
  }
  return found
}

function problemObject(
  status: number,
  kinds: readonly ProblemKind[],
  {
    always = [],
    sometimes = [],
    isHead = false,
  }: {
    readonly always?: readonly HeaderName[] | undefined
    readonly sometimes?: readonly HeaderName[] | undefined
    readonly isHead?: boolean
  } = {},
): JsonSchema {
  return {
    description: kinds.join(', '),
    ...headersOf([...(headersOfStatus[status] ?? []), ...always], sometimes),
    ...(!isHead && { content: problemContent(kinds) }),
  }
}

function problemContent(kinds: readonly ProblemKind[]): JsonSchema {
  const schema = {
    ...schemaOf(problemBody),
    properties: { type: { enum: kinds.map(problemType) } },
  }
  return { 'application/problem+json': { schema } }
}
