import fc from 'fast-check'
import type { DocumentedOperation, DocumentedParameter } from '../support/openapi/documented.js'
import { type Components, type Schema, valuesOf } from './schema-values.js'

/** A request that can be sent and printed. */
export interface FuzzRequest {
  readonly operation: DocumentedOperation
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body?: string | undefined
  /** True if the document says that the request is valid. */
  readonly isValid: boolean
}

/** Values that hardly any schema accepts. */
const odd = fc.oneof(
  fc.constantFrom<unknown>(null, '', 0, -1, 1.5, true, [], {}, 'k\0', '\ud800', 'x'.repeat(1_025), [[[[]]]]),
  fc.jsonValue({ maxDepth: 3 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
)

const oddHeader = fc.oneof(
  fc.constantFrom(
    '',
    '*',
    '"',
    '"a"',
    'W/"a"',
    '"1-2-0A1B2C3D", "x"',
    'max-age=x',
    'max-age=0',
    'max-age=1, max-age=2',
  ),
  fc.constantFrom(
    'no-cache',
    'only-if-cached',
    ',,,',
    '"a",',
    '"\\q"',
    'identity',
    'gzip',
    '!',
    '/',
    'a/b; c',
    '\xff',
  ),
  fc.string({ maxLength: 30 }).map((value) => value.trim()),
)

const headerNames = [
  'Content-Type',
  'Content-Encoding',
  'Content-Range',
  'Accept',
  'Range',
  'Expect',
  'Origin',
  'Host',
]
const types = fc.constantFrom('application/json', 'text/plain', 'image/png', 'application/vnd.api+json', '')
const methods = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND')

/**
 * Operations that have rules which no schema has: of members together, or of distinct keys. A lease must not come with a
 * condition.
 */
const withFurtherRules = ['invalidateEntries', 'writeEntries']

/** Returns requests of all operations: valid ones, and ones with one mistake or a few. */
export function requestsOf(
  operations: readonly DocumentedOperation[],
  components: Components,
): fc.Arbitrary<FuzzRequest> {
  return fc.oneof(
    ...operations.flatMap((operation) => {
      const valid = validRequest(operation, components)
      return [valid, oddRequest(operation, valid)]
    }),
  )
}

function validRequest(operation: DocumentedOperation, components: Components): fc.Arbitrary<FuzzRequest> {
  const { method, path, parameters, body } = operation
  const given = fc.record({
    path: parametersIn('path', parameters, components),
    query: parametersIn('query', parameters, components),
    headers: headersOf(parameters),
    body: body ? bodiesOf(body, components) : fc.constant(undefined),
    type: types,
  })
  return given.map(({ path: inPath, query, headers, body: content, type }) => ({
    operation,
    method,
    target: targetOf(path, inPath, query),
    headers: { ...headers, ...(content !== undefined && contentType(body, type)) },
    body: content,
    isValid: !withFurtherRules.includes(operation.id) && !('Fill-Lease' in headers),
  }))
}

function contentType(content: object | undefined, type: string): Readonly<Record<string, string>> {
  if (content && 'application/json' in content) return { 'Content-Type': 'application/json' }
  return type === '' ? {} : { 'Content-Type': type }
}

function parametersIn(
  place: 'path' | 'query',
  parameters: readonly DocumentedParameter[],
  components: Components,
): fc.Arbitrary<Readonly<Record<string, unknown>>> {
  const found = parameters.filter((parameter) => parameter.in === place)
  const required = found.filter((parameter) => (parameter as { required?: boolean }).required)
  return fc.record(
    Object.fromEntries(found.map(({ name, schema }) => [name, valuesOf(schema as Schema, components)])),
    { requiredKeys: required.map(({ name }) => name), noNullPrototype: true },
  )
}

function headersOf(parameters: readonly DocumentedParameter[]) {
  const found = parameters.filter((parameter) => parameter.in === 'header')
  return fc.record(
    Object.fromEntries(found.map(({ name, example }) => [name, fc.constant(example as string)])),
    { requiredKeys: [], noNullPrototype: true },
  )
}

function bodiesOf(content: object, components: Components): fc.Arbitrary<string> {
  const { 'application/json': json } = content as Record<string, { readonly schema: Schema } | undefined>
  if (json === undefined)
    return fc
      .jsonValue({ maxDepth: 2 })
      .filter((v) => v !== null)
      .map((v) => JSON.stringify(v))
  return valuesOf(json.schema, components).map((value) => JSON.stringify(value))
}

function targetOf(
  template: string,
  inPath: Readonly<Record<string, unknown>>,
  query: Readonly<Record<string, unknown>>,
): string {
  const path = template.replace(/\{(\w+)\}/g, (_, name) => encoded(inPath[name]))
  const parts = Object.entries(query).map(([name, value]) => `${name}=${encoded(value)}`)
  return parts.length === 0 ? path : `${path}?${parts.join('&')}`
}

function encoded(value: unknown): string {
  return encodeURIComponent(String(value).toWellFormed())
}

/** Returns requests of an operation with a mistake in one place or several. */
function oddRequest(
  operation: DocumentedOperation,
  valid: fc.Arbitrary<FuzzRequest>,
): fc.Arbitrary<FuzzRequest> {
  const names = [
    ...headerNames,
    ...operation.parameters.filter((parameter) => parameter.in === 'header').map(({ name }) => name),
  ]
  const changes = fc.record(
    {
      method: methods,
      query: fc.constantFrom(
        'key=%00',
        'key=a&key=b',
        'prefx=a',
        'limit=0',
        'limit=x',
        'token=x',
        'values=1',
        '%',
        '&&=',
        'consistency=',
      ),
      path: fc.constantFrom('%', '%ff', '%00', '/', '//', ':', '/..', '?', 'x'.repeat(1_100), '%F0%9F%98%80'),
      header: fc.tuple(fc.constantFrom(...names), oddHeader),
      body: bodyChange(),
    },
    { requiredKeys: [], noNullPrototype: true },
  )
  return fc.tuple(valid, changes).map(([request, { method, query, path, header, body }]) => {
    const { target } = request
    const [name, value] = header ?? []
    return {
      ...request,
      isValid: false,
      method: method ?? request.method,
      target: `${target.replace(/\?.*/, '')}${path ?? ''}${/\?.*/.exec(target)?.[0] ?? (query ? '?' : '')}${query ? `&${query}` : ''}`,
      headers:
        name !== undefined && value !== undefined ? { ...request.headers, [name]: value } : request.headers,
      body: body === undefined ? request.body : body(request.body),
    }
  })
}

type BodyChange = (text: string | undefined) => string | undefined

/** Returns changes of one member of a JSON object, or of the text. */
function bodyChange(): fc.Arbitrary<BodyChange> {
  const ofMember = fc
    .tuple(
      fc.constantFrom(
        'key',
        'keys',
        'value',
        'groups',
        'ttl_seconds',
        'prefix',
        'all',
        'items',
        'atomic',
        'kye',
        '__proto__',
      ),
      odd,
    )
    .map(
      ([name, value]): BodyChange =>
        (text) =>
          withMember(text, `${JSON.stringify(name)}:${JSON.stringify(value)}`),
    )
  const ofText = fc.constantFrom<BodyChange>(
    () => undefined,
    () => '',
    () => '[]',
    () => 'null',
    (text = '') => text.slice(0, -1),
    (text = '') => `\ufeff${text}`,
    (text) => withMember(text, '"value":1e400'),
    (text) => withMember(text, `"value":${'['.repeat(500)}${']'.repeat(500)}`),
    (text) => withMember(text, `"keys":[${'0,'.repeat(20_000)}0]`),
    (text) => withMember(text, `"groups":[${'"",'.repeat(40)}""]`),
  )
  return fc.oneof(ofMember, ofText)
}

/** Puts a member into an object, in place of one of this name or beside it. */
function withMember(text = '{}', member: string): string {
  const end = text.lastIndexOf('}')
  if (end < 0) return `{${member}}`
  const name = /^"\w+"/.exec(member)?.[0] ?? ''
  const members = text.slice(1, end).replace(new RegExp(`${name}:("[^"]*"|[\\w.]+),?`), '')
  return `{${[members.replace(/,$/, ''), member].filter((part) => part !== '').join(',')}}`
}
